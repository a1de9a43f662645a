// Prints the seconds of one way to go through a file:
//   node bench/wholeCommandChild.mjs inflate FILE                node:zlib into nothing
//   node bench/wholeCommandChild.mjs read DWI BVAL BVEC [MASK]   as `runtime fit` reads it
//   node bench/wholeCommandChild.mjs write MASK MAP OUT          as it writes such a map, of which the rows are taken
import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { openDwi, readNifti, saveMaps } from "@fascicle/models";

const megabyte = 1024 * 1024;

async function inflate(path) {
  const pieces = createReadStream(path, { highWaterMark: megabyte }).pipe(
    createGunzip({ chunkSize: megabyte }),
  );
  let bytes = 0;
  for await (const piece of pieces) bytes += piece.length;
  return bytes;
}

/** A fit whose one field has the values of a map. */
async function fitLike(maskPath, mapPath) {
  const mask = await readNifti(maskPath);
  const map = await readNifti(mapPath);
  const width = map.shape[3] ?? 1;
  const voxels = Uint32Array.from([...mask.data.keys()].filter((voxel) => mask.data[voxel] > 0));
  const data = new Float64Array(voxels.length * width);
  for (let column = 0; column < width; column++) {
    const volume = map.data.subarray(column * mask.data.length);
    for (let row = 0; row < voxels.length; row++) data[row * width + column] = volume[voxels[row]];
  }
  const model = {
    name: "bench",
    options: {},
    kernel: { hash: "" },
    files: [{ file: "map", field: "map", description: "" }],
    outputs: [{ name: "map", dtype: "float64", width }],
    dwi: { geometry: mask.geometry, voxels, selection: {}, inputs: [] },
  };
  return { model, maps: { map: { data, shape: [voxels.length, width], units: "" } } };
}

const [way, ...paths] = process.argv.slice(2);
const [dwi, bval, bvec, mask] = paths;
const fit = way === "write" ? await fitLike(paths[0], paths[1]) : undefined;
const begunMs = performance.now();
if (way === "inflate") await inflate(dwi);
else if (way === "read") await openDwi({ dwi, bval, bvec, mask });
else await saveMaps(fit, paths[2]);
console.log((performance.now() - begunMs) / 1000);
