#!/usr/bin/env node
"use strict";
// The launcher of the `runtime` command. It is here before anything is built, so that npm can link it.
const { existsSync } = require("node:fs");
const { availableParallelism } = require("node:os");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

// Files are inflated and deflated by libuv's threads: as many as cores. libuv reads this before its first use.
process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, Math.min(128, availableParallelism())));

const main = join(__dirname, "..", "dist", "cli", "main.js");
if (existsSync(main)) {
  import(pathToFileURL(main).href);
} else {
  process.stderr.write(
    "runtime: this copy of Fascicle is not built yet: run `npm run build` first.\n",
  );
  process.exitCode = 2;
}
