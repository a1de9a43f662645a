// Installs what package-lock.json names and builds, if that has not been done: the first step of every command.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a program in the repository and ends this process with its exit code if that is not 0. */
export function run(program, words, options = {}) {
  const result = spawnSync(program, words, { cwd: root, stdio: "inherit", ...options });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 20)) return;
  process.stderr.write(`Fascicle needs Node 20.20 or newer; this is ${process.versions.node}.\n`);
  process.exit(2);
}

/** npm writes what it installed beside the modules; a newer lock file means that they are stale. */
function isInstalled() {
  const installed = join(root, "node_modules", ".package-lock.json");
  return (
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs &&
    existsSync(join(root, "node_modules", ".bin", "runtime"))
  );
}

function install() {
  process.stdout.write("installing (npm ci) ...\n");
  const npm = process.env.npm_execpath;
  const words = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  if (npm?.endsWith(".js")) run(process.execPath, [npm, ...words]);
  else run("npm", words);
}

export function prepare() {
  checkNode();
  if (!isInstalled()) install();
  process.stdout.write("building ...\n");
  run(process.execPath, [join(root, "scripts/build.mjs")]);
}
