// npm run build: compiles the AssemblyScript if it changed, then all TypeScript. Words after `--` go to tsc.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./prepare.mjs";

const modules = join(root, "node_modules");
const assembly = "packages/models/assembly";
const kernels = join(root, "packages/models/src/kernels");
const output = join(kernels, "kernelsWasm.generated.ts");
/** No runtime, no memory of its own, and none of the relaxed instructions, which round as the processor likes. */
const options = [
  ...["--runtime", "stub", "--importMemory", "--noExportMemory"],
  ...["-O3", "--enable", "simd"],
];

const readManifest = (name) =>
  JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"));

/** sha256 of all that decides the output: what git checks out keeps no times to compare. */
function hashInputs() {
  const { version } = readManifest("assemblyscript");
  const hash = createHash("sha256").update(JSON.stringify([version, options]));
  const sources = readdirSync(join(root, assembly)).filter((name) => name.endsWith(".ts"));
  for (const name of sources.sort()) {
    hash.update(`\0${name}\0`).update(readFileSync(join(root, assembly, name)));
  }
  return hash.digest("hex");
}

/** The bytes of the WebAssembly module; ends this process with the compiler's messages where there is none. */
async function compileAssembly() {
  const { default: asc } = await import("assemblyscript/asc");
  let bytes;
  const words = [
    `${assembly}/index.ts`,
    ...options,
    "--baseDir",
    root,
    "--outFile",
    "kernels.wasm",
  ];
  const { error, stderr } = await asc.main(words, {
    writeFile(_name, contents) {
      bytes = contents;
    },
  });
  if (error === null && bytes !== undefined) return bytes;
  process.stderr.write(`${stderr.toString()}${error?.message ?? "asc wrote nothing"}\n`);
  process.exit(1);
}

async function buildAssembly() {
  const header = `// Made by scripts/build.mjs from ${assembly}, inputs ${hashInputs()}: do not edit.\n`;
  if (existsSync(output) && readFileSync(output, "utf8").startsWith(header)) return;
  const text = Buffer.from(await compileAssembly()).toString("base64");
  // Whole or not at all: another build may run at the same time.
  const unfinished = `${output}.${process.pid}`;
  writeFileSync(unfinished, `${header}export const KERNELS_WASM = "${text}";\n`);
  renameSync(unfinished, output);
}

/** tsc leaves what it made of deleted sources, and the kernels' hash is that of the whole folder. */
function removeStaleKernels() {
  const built = join(root, "packages/models/dist/kernels");
  const sources = new Set(readdirSync(kernels).map((name) => name.replace(/\.ts$/, "")));
  for (const name of existsSync(built) ? readdirSync(built) : []) {
    const isStale = !sources.has(name.replace(/(\.d\.ts|\.js|\.js\.map)$/, ""));
    if (isStale) rmSync(join(built, name), { force: true });
  }
}

if (!existsSync(join(modules, "assemblyscript"))) {
  process.stderr.write("AssemblyScript is not installed: run `npm ci` first.\n");
  process.exit(1);
}
await buildAssembly();
removeStaleKernels();
const tsc = join(modules, "typescript", readManifest("typescript").bin.tsc);
run(process.execPath, [tsc, "-b", ...process.argv.slice(2)]);
