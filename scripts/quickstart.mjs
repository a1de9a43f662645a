// npm run quickstart: installs if needed, builds, and runs the quickstart with the words after `--`.
import { join } from "node:path";
import { prepare, root, run } from "./prepare.mjs";

// Ctrl-C is for the command below, which cleans up; this script ends when it does.
process.on("SIGINT", () => {});
prepare();
const words = process.argv.slice(2);
const hasOut = words.some((word) => word === "--out" || word.startsWith("--out="));
// Paths that the user gives are meant from where the user stands; the default is in the repository.
run(
  process.execPath,
  [
    join(root, "packages/runtime/bin/runtime.cjs"),
    "quickstart",
    ...(hasOut ? [] : ["--out", join(root, "out", "quickstart")]),
    ...words,
  ],
  { cwd: process.env.INIT_CWD ?? root },
);
