// Samples what directories hold, in a process of its own: whoever fills them is too busy to be asked.
//   started by bench/consecutive.mjs with the directories as words; "reset" begins a new peak, "peak" asks for it
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

const intervalMs = 3;
const directories = process.argv.slice(2);
let peak = directories.map(() => 0);
let samples = 0;

/** Bytes of the files below a directory, as `ls` gives them; what goes while we look counts as gone. */
function bytesBelow(directory) {
  let bytes = 0;
  let entries = [];
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch {}
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) bytes += bytesBelow(path);
    else if (entry.isFile()) {
      try {
        bytes += lstatSync(path).size;
      } catch {}
    }
  }
  return bytes;
}

function sample() {
  samples++;
  peak = peak.map((bytes, n) => Math.max(bytes, bytesBelow(directories[n])));
}

setInterval(sample, intervalMs);
process.on("message", (word) => {
  sample();
  process.send({ peak, samples });
  if (word !== "reset") return;
  peak = directories.map(() => 0);
  samples = 0;
});
process.on("disconnect", () => process.exit());
