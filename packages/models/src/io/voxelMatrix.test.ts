import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VoxelMatrix, voxelsPerSlab } from "./voxelMatrix.ts";

describe("voxelsPerSlab", () => {
  it("cuts at whole blocks of 8 MiB, at most 1 GiB", () => {
    expect(voxelsPerSlab(1000, 1152)).toBe(1000);
    const rowBytes = 1152;
    const perBlock = Math.floor((8 * 1024 * 1024) / rowBytes);
    const perSlab = voxelsPerSlab(3_658_350, rowBytes);
    expect(perSlab % perBlock).toBe(0);
    expect(perSlab * rowBytes).toBeLessThanOrEqual(2 ** 30);
    expect((perSlab + perBlock) * rowBytes).toBeGreaterThan(2 ** 30);
  });
});

describe("VoxelMatrix", () => {
  it("turns volumes into rows, however they are cut into pieces, batches and slabs", () => {
    const cases = fc.record({
      grid: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.constant(3), fc.constant(4)),
      width: fc.integer({ min: 1, max: 75 }),
      pieceValues: fc.integer({ min: 1, max: 80 }),
      every: fc.integer({ min: 1, max: 5 }),
      slabBytes: fc.integer({ min: 1, max: 20_000 }),
      blockBytes: fc.integer({ min: 1, max: 2000 }),
      batchBytes: fc.integer({ min: 1, max: 20_000 }),
    });
    const slabCounts = new Set<number>();
    fc.assert(
      fc.property(cases, ({ grid, width, pieceValues, every, ...limits }) => {
        const gridVoxels = grid[0] * grid[1] * grid[2];
        const voxels = Uint32Array.from(
          { length: Math.ceil(gridVoxels / every) },
          (_, i) => i * every,
        );
        const sizes: number[] = [];
        const allocate = (bytes: number) => {
          sizes.push(bytes);
          return new SharedArrayBuffer(bytes);
        };
        const matrix = new VoxelMatrix(grid, voxels, width, "int16", allocate, limits);
        const value = (volume: number, at: number) => ((volume * 131 + at * 17) % 4001) - 2000;
        for (let volume = 0; volume < width; volume++) {
          for (let first = 0; first < gridVoxels; first += pieceValues) {
            const length = Math.min(pieceValues, gridVoxels - first);
            matrix.take(
              volume,
              first,
              Int16Array.from({ length }, (_, i) => value(volume, first + i)),
            );
          }
        }
        const { signals } = matrix;
        const rows = signals.slabs.map((slab) => new Float32Array(slab));
        const expected = [...voxels].map((at) =>
          Array.from({ length: width }, (_, volume) => value(volume, at)),
        );
        const found = expected.map((_, voxel) => {
          const row = (voxel % signals.voxelsPerSlab) * width;
          return [...rows[Math.floor(voxel / signals.voxelsPerSlab)].subarray(row, row + width)];
        });
        expect(found).toEqual(expected);
        expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBe(voxels.length * width * 4);
        if (sizes.length > 1) {
          expect(Math.max(...sizes)).toBeLessThanOrEqual(
            Math.max(limits.slabBytes, limits.blockBytes, width * 4),
          );
        }
        slabCounts.add(sizes.length);
      }),
      { numRuns: 200 },
    );
    expect(slabCounts.size).toBeGreaterThan(2);
  });
});
