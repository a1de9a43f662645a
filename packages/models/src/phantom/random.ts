/**
 * Numbers drawn by place, not by order: a counter-based generator, so that any sample of any voxel
 * can be made alone, in any order, with the same bits on every machine.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */

const parity = 0x1bd11bda;

/**
 * Threefry-2x32 with 20 rounds. Writes two words of 32 random bits to `out[0]` and `out[1]` for the
 * counter (`counter0`, `counter1`) under the key (`key0`, `key1`); all are taken modulo 2^32.
 */
export function threefry2x32(
  counter0: number,
  counter1: number,
  key0: number,
  key1: number,
  out: Uint32Array,
): void {
  const k0 = key0 | 0;
  const k1 = key1 | 0;
  const k2 = parity ^ k0 ^ k1;
  let a = ((counter0 | 0) + k0) | 0;
  let b = ((counter1 | 0) + k1) | 0;
  for (let group = 0; group < 5; group++) {
    if ((group & 1) === 0) {
      a = (a + b) | 0;
      b = ((b << 13) | (b >>> 19)) ^ a;
      a = (a + b) | 0;
      b = ((b << 15) | (b >>> 17)) ^ a;
      a = (a + b) | 0;
      b = ((b << 26) | (b >>> 6)) ^ a;
      a = (a + b) | 0;
      b = ((b << 6) | (b >>> 26)) ^ a;
    } else {
      a = (a + b) | 0;
      b = ((b << 17) | (b >>> 15)) ^ a;
      a = (a + b) | 0;
      b = ((b << 29) | (b >>> 3)) ^ a;
      a = (a + b) | 0;
      b = ((b << 16) | (b >>> 16)) ^ a;
      a = (a + b) | 0;
      b = ((b << 24) | (b >>> 8)) ^ a;
    }
    // The key words are added in the turn k1 k2, k2 k0, k0 k1, with the number of the group.
    const turn = group % 3;
    a = (a + (turn === 0 ? k1 : turn === 1 ? k2 : k0)) | 0;
    b = (b + (turn === 0 ? k2 : turn === 1 ? k0 : k1) + group + 1) | 0;
  }
  out[0] = a;
  out[1] = b;
}

/** Two numbers evenly spread over the open interval (0, 1), by place as `threefry2x32`. */
export function uniformPair(
  counter0: number,
  counter1: number,
  key0: number,
  key1: number,
): [number, number] {
  const words = new Uint32Array(2);
  threefry2x32(counter0, counter1, key0, key1, words);
  return [(words[0] + 0.5) / 4294967296, (words[1] + 0.5) / 4294967296];
}
