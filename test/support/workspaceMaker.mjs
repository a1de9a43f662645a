// Makes workspaces in a directory, writes into each, says so, and does what it is told: node workspaceMaker.mjs DIR COUNT HOW
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Workspace } from "@fascicle/object-store";

const [directory, count, how] = process.argv.slice(2);

async function make() {
  const workspace = await Workspace.create(directory, "a test");
  writeFileSync(join(workspace.path, "rows"), Buffer.alloc(64 << 10));
  return workspace;
}

async function churn() {
  for (;;) {
    const workspace = await make();
    // Whoever takes it away while we live makes this fail.
    writeFileSync(join(workspace.path, "more"), "words");
    await workspace.remove();
  }
}

try {
  const made = [];
  for (let i = 0; i < Number(count); i++) made.push(await make());
  process.stdout.write(`${JSON.stringify(made.map(({ path }) => path))}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ code: error.code, message: error.message })}\n`);
}
if (how === "exit") process.exit(0);
if (how === "throw") throw new Error("as it was told to");
if (how === "churn") await churn();
if (how === "stay") process.stdin.resume();
