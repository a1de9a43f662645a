/** A large scan that is made at once: any positive numbers will do where only its size matters. */
import { closeSync, copyFileSync, openSync, readFileSync, writeSync } from "node:fs";
import { fixtures } from "./cli.ts";

const headerBytes = 352;

/** Writes `<stem>.nii` (int16), `.bval` and `.bvec`, with the gradients of the real scan of 64 directions. */
export function writePlainScan(
  stem: string,
  [nx, ny, nz]: readonly [number, number, number],
): void {
  for (const ending of [".bval", ".bvec"])
    copyFileSync(`${fixtures}data/real_64dir${ending}`, stem + ending);
  const bvals = readFileSync(`${stem}.bval`, "utf8").trim().split(/\s+/).map(Number);
  const file = openSync(`${stem}.nii`, "w");
  writeSync(file, header([nx, ny, nz, bvals.length]));
  const volume = new Int16Array(nx * ny * nz);
  for (const [n, b] of bvals.entries()) {
    // As in tissue of one diffusivity, a little different from volume to volume and from voxel to voxel.
    const mean = 1000 * Math.exp(-b * 0.8e-3);
    for (let i = 0; i < volume.length; i++) volume[i] = mean + ((i * 31 + n * 17) % 97);
    writeSync(file, volume);
  }
  closeSync(file);
}

/** Of a NIfTI-1 file of int16, 2 mm voxels. */
function header(shape: readonly number[]): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeInt32LE(348, 0);
  for (const [i, size] of [4, ...shape, 1, 1, 1].entries()) bytes.writeInt16LE(size, 40 + 2 * i);
  bytes.writeInt16LE(4, 70);
  bytes.writeInt16LE(16, 72);
  for (let i = 0; i < 8; i++) bytes.writeFloatLE(i === 0 ? 1 : 2, 76 + 4 * i);
  bytes.writeFloatLE(headerBytes, 108);
  bytes.writeFloatLE(1, 112);
  bytes.writeInt16LE(1, 254);
  for (let row = 0; row < 3; row++) bytes.writeFloatLE(2, 280 + 16 * row + 4 * row);
  bytes.write("n+1\0", 344, "latin1");
  return bytes;
}
