// A driver to be killed: fits the model of a JSON file, whose signals lie in a file beside it, with a ledger.
import { readFileSync } from "node:fs";
import { fitChunked } from "@fascicle/runtime";

const [path, engine, chunks] = process.argv.slice(2);
const model = JSON.parse(readFileSync(`${path}.json`, "utf8"));
const bytes = readFileSync(`${path}.signals`);
const slab = new SharedArrayBuffer(bytes.length);
new Uint8Array(slab).set(bytes);
model.signals.slabs = [slab];
const fit = await fitChunked(model, Number(chunks), { engine, workers: 1, resume: true });
process.stdout.write(`${fit.receipt.chunksResumed}\n`);
