import { collectGarbage } from "@fascicle/object-store";
import { describe, expect, it } from "vitest";
import { emptyTable, PagedSignals } from "./pagedRows.ts";

/** Two pages of two voxels, in slabs that come and go. */
function twoPages() {
  const slabs = new Map<number, SharedArrayBuffer>();
  const table = emptyTable(2);
  const signals = new PagedSignals(
    { pageVoxels: 2, table, width: 1, dtype: "float32" },
    4,
    (slab) => slabs.get(slab)!,
  );
  const put = (page: number, slab: number, value: number) => {
    const buffer = slabs.get(slab) ?? new SharedArrayBuffer(8);
    slabs.set(slab, buffer);
    new Float32Array(buffer).fill(value);
    new Int32Array(table)[page] = slab;
    return new WeakRef(buffer);
  };
  return { slabs, signals, put };
}

describe("rows in pages", () => {
  it("are found where their page is now", () => {
    const { signals, put } = twoPages();
    expect(() => signals.page(0)).toThrow(/page 0 is not in memory/);
    put(0, 7, 1);
    expect(signals.page(0)[0]).toBe(1);
    put(0, 8, 2);
    put(1, 7, 3);
    expect([signals.page(0)[1], signals.page(1)[0], signals.page(0)[0]]).toEqual([2, 3, 2]);
  });

  it("hold no memory that their pages have left", async () => {
    const { slabs, signals, put } = twoPages();
    const left = put(0, 7, 1);
    signals.page(0);
    put(1, 8, 2);
    signals.page(1);
    slabs.delete(7);
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
    expect(left.deref()).toBeUndefined();
  });
});
