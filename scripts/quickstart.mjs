// npm run quickstart: installs if needed, builds, and runs the quickstart with the words after `--`.
import { join } from "node:path";
import { prepare, root, run } from "./prepare.mjs";

prepare();
run(process.execPath, [
  join(root, "packages/runtime/bin/runtime.cjs"),
  "quickstart",
  ...process.argv.slice(2),
]);
