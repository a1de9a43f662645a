import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VoxelSignals } from "@fascicle/core";
import { describe, expect, it } from "vitest";
import { readRows } from "./rows.ts";
import { allocateSignals, signalView } from "./slabs.ts";

const layout = { voxelCount: 23, width: 3, blockVoxels: 5 } as const;
function values(dtype: "float32" | "float64") {
  const all = Array.from({ length: 69 }, (_, i) => i / 3);
  return dtype === "float32" ? Float32Array.from(all) : Float64Array.from(all);
}
const ranges = [
  [0, 23],
  [4, 5],
  [3, 17],
  [20, 23],
  [7, 7],
];

describe("readRows", () => {
  for (const dtype of ["float32", "float64"] as const) {
    it(`gives ${dtype} rows of one slab without a copy, and those of several in one array`, async () => {
      const { slabs } = allocateSignals(
        { ...layout, dtype },
        (bytes) => new SharedArrayBuffer(bytes),
      );
      signalView(dtype, slabs[0]).set(values(dtype));
      const whole: VoxelSignals = { ...layout, dtype, voxelsPerSlab: 23, slabs };
      const rowBytes = slabs[0].byteLength / 23;
      const cut = Array.from({ length: 4 }, (_, i) => {
        const bytes = new Uint8Array(slabs[0]).slice(i * 7 * rowBytes, (i + 1) * 7 * rowBytes);
        const slab = new SharedArrayBuffer(bytes.length);
        new Uint8Array(slab).set(bytes);
        return slab;
      });
      for (const [start, end] of ranges) {
        const expected = values(dtype).subarray(3 * start, 3 * end);
        expect(await readRows(whole, start, end)).toEqual(expected);
        expect(await readRows({ ...whole, voxelsPerSlab: 7, slabs: cut }, start, end)).toEqual(
          expected,
        );
      }
      expect((await readRows(whole, 3, 17)).buffer).toBe(slabs[0]);
    });

    it(`reads ${dtype} rows from their source where there are no slabs`, async () => {
      const directory = await mkdtemp(join(tmpdir(), "rows-"));
      const file = await open(join(directory, "rows"), "wx+");
      try {
        const bytes = new Uint8Array(values(dtype).buffer);
        await file.write(bytes);
        const rowBytes = bytes.length / 23;
        const source = {
          async read(start: number, end: number, into: Uint8Array) {
            await file.read(into, 0, (end - start) * rowBytes, start * rowBytes);
          },
        };
        const signals = { ...layout, dtype, voxelsPerSlab: 23, slabs: [], source };
        for (const [start, end] of ranges) {
          expect(await readRows(signals, start, end)).toEqual(
            values(dtype).subarray(3 * start, 3 * end),
          );
        }
        await file.close();
        await expect(readRows(signals, 0, 1)).rejects.toThrow("closed");
      } finally {
        await file.close().catch(() => undefined);
        await rm(directory, { recursive: true });
      }
    });
  }
});
