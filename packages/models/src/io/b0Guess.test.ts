import { describe, expect, it } from "vitest";
import type { ScratchFile } from "../signals.ts";
import { openDwi } from "./openDwi.ts";
import { rowsOf, TestScratch, temporaryDirectory, writeDwi } from "./testing.ts";

/** Counts how often rows began to be taken. */
class CountingScratch extends TestScratch {
  begun = 0;

  override async create(name: string): Promise<ScratchFile> {
    this.begun++;
    return await super.create(name);
  }
}

/** b0, weighted, b0, weighted: four voxels each. */
const bvals = [0, 1000, 0, 1000];
const weighted = [[7, 8, 9, 10]];
const cases = [
  {
    what: "all b0 volumes agree",
    b0: [
      [5, 0, 2, 0],
      [4, 0, 1, 0],
    ],
    begun: 1,
    inside: [0, 2],
  },
  {
    what: "a voxel joins later",
    b0: [
      [5, 0, 2, 0],
      [4, 3, 1, 0],
    ],
    begun: 2,
    inside: [0, 1, 2],
  },
  {
    what: "a voxel leaves later",
    b0: [
      [5, 0, 2, 0],
      [4, 0, -2, 0],
    ],
    begun: 2,
    inside: [0],
  },
  {
    what: "one is not a number later",
    b0: [
      [5, 0, 2, 0],
      [4, 0, 1, Number.NaN],
    ],
    begun: 2,
    inside: [0, 2, 3],
  },
  {
    what: "the first b0 volume is empty",
    b0: [
      [0, 0, 0, 0],
      [4, 0, 1, 0],
    ],
    begun: 1,
    inside: [0, 2],
  },
];

describe("the mask of the mean b0 in a gzip file", () => {
  for (const { what, b0, begun, inside } of cases) {
    it(`is that of all b0 volumes, and rows are begun ${begun === 1 ? "once" : "twice"}, where ${what}`, async () => {
      using directory = temporaryDirectory();
      const values = [b0[0], ...weighted, b0[1], ...weighted].flat();
      const image = { shape: [4, 1, 1, 4], values };
      const packed = writeDwi(directory, image, bvals, "dwi.nii.gz");
      const scratch = new CountingScratch(directory.path);
      const onDisk = await openDwi({ ...packed, scratch, memoryBytes: 0 });
      expect(scratch.begun).toBe(begun);
      expect(scratch.files).toHaveLength(1);
      expect([...onDisk.voxels]).toEqual(inside);
      await onDisk.close();
      const inMemory = await openDwi(packed);
      const plain = await openDwi(writeDwi(directory, image, bvals, "dwi.nii"));
      expect([...inMemory.voxels]).toEqual(inside);
      expect(rowsOf(inMemory)).toEqual(rowsOf(plain));
      expect(inMemory.centre).toEqual(plain.centre);
    });
  }

  it("goes without a guess where the second b0 volume comes late", async () => {
    using directory = temporaryDirectory();
    const table = Array.from({ length: 40 }, (_, volume) => (volume % 35 === 0 ? 0 : 1000));
    const values = table.flatMap((b, volume) => (b === 0 ? [1, volume] : [2, 2]));
    const files = writeDwi(directory, { shape: [2, 1, 1, 40], values }, table, "dwi.nii.gz");
    const scratch = new CountingScratch(directory.path);
    const dwi = await openDwi({ ...files, scratch, memoryBytes: 0 });
    expect(scratch.begun).toBe(1);
    expect([...dwi.voxels]).toEqual([0, 1]);
    await dwi.close();
  });
});
