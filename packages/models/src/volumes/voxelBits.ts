/** Voxels of a mask as one bit for each voxel of the grid: however scattered they are, it is never large. */

/** Bit `i % 8` of byte `i / 8` is set for each grid index `i` of `voxels`. */
export function bitsOf(voxels: Uint32Array, gridVoxels: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(gridVoxels / 8));
  for (const voxel of voxels) bits[voxel >>> 3] |= 1 << (voxel & 7);
  return bits;
}

/** How many voxels there are; undefined where these are no bits of a grid of so many voxels. */
export function countOfBits(bits: Uint8Array, gridVoxels: number): number | undefined {
  if (bits.length !== Math.ceil(gridVoxels / 8)) return undefined;
  const inLast = gridVoxels % 8;
  if (inLast > 0 && bits[bits.length - 1] >>> inLast !== 0) return undefined;
  let count = 0;
  for (const byte of bits) {
    for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  }
  return count;
}

/** The grid indices, ascending; `count` of them. */
export function voxelsOfBits(bits: Uint8Array, count: number): Uint32Array {
  const voxels = new Uint32Array(count);
  let next = 0;
  for (let byte = 0; byte < bits.length; byte++) {
    if (bits[byte] === 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      if (bits[byte] & (1 << bit)) voxels[next++] = 8 * byte + bit;
    }
  }
  return voxels;
}
