// npm test: installs if needed, builds, runs the test suite. Words after `--` go to vitest.
import { join } from "node:path";
import { prepare, root, run } from "./prepare.mjs";

prepare();
run(process.execPath, [
  join(root, "node_modules/vitest/vitest.mjs"),
  "run",
  ...process.argv.slice(2),
]);
