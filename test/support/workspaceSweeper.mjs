// Sweeps directories and says what it found: node workspaceSweeper.mjs DIR...
import { sweepWorkspaces } from "@fascicle/object-store";

process.stdout.write(`${JSON.stringify(await sweepWorkspaces(process.argv.slice(2)))}\n`);
