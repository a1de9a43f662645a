/** Images of MRtrix3 as a text header beside the bare numbers, one voxel after the other along x. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes `rows` (`width` values for each voxel) as `name`.mih and gives its path. */
export function writeImage(
  directory: string,
  name: string,
  rows: Float32Array,
  width: number,
): string {
  writeFileSync(join(directory, `${name}.dat`), rows);
  const header = [
    "mrtrix image",
    `dim: ${rows.length / width},1,1,${width}`,
    "vox: 1,1,1,1",
    "layout: +1,+2,+3,+0",
    `datatype: Float32${isLittleEndian ? "LE" : "BE"}`,
    ...["1,0,0,0", "0,1,0,0", "0,0,1,0"].map((row) => `transform: ${row}`),
    `file: ${name}.dat`,
    "END\n",
  ];
  const path = join(directory, `${name}.mih`);
  writeFileSync(path, header.join("\n"));
  return path;
}

/** The values of such an image with float32 in this machine's byte order, however its axes follow each other. */
export function readImage(directory: string, name: string): Float64Array {
  const header = readFileSync(join(directory, `${name}.mih`), "utf8");
  const lineOf = (key: string) => {
    const value = new RegExp(`^${key}: (.*)$`, "m").exec(header)?.[1];
    if (value === undefined) throw new Error(`${name}.mih has no ${key}`);
    return value;
  };
  const [count, , , width] = lineOf("dim").split(",").map(Number);
  const places = lineOf("layout").split(",");
  if (places.some((place) => place.startsWith("-"))) throw new Error(`${name}.mih is turned`);
  // Only the voxels and their values have more than one place: one of the two runs within the other.
  const isVoxelMajor = Number(places[3]) < Number(places[0]);
  const bytes = readFileSync(join(directory, lineOf("file").split(" ")[0]));
  const stored = new Float32Array(count * width);
  new Uint8Array(stored.buffer).set(bytes.subarray(0, 4 * stored.length));
  return Float64Array.from(stored, (value, i) =>
    isVoxelMajor ? value : stored[(i % width) * count + Math.floor(i / width)],
  );
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
