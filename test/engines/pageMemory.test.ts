/** Memory for pages goes from fit to fit: what one fit leaves must be no less than what the next may use, and no more. */
import { fitChunked, Scratch } from "@fascicle/runtime";
import { afterEach, describe, expect, it } from "vitest";
import { testModel } from "../support/models.ts";

const mebibyte = 2 ** 20;
const scratch = new Scratch();
afterEach(() => scratch.remove());

/** Its results take 20 MB: with less memory they go to disk, two pages at a time. */
const model = testModel({ voxels: 800_000, work: 1 });

async function fitWithin(objectMemoryBytes: number, room = scratch): Promise<void> {
  const fit = await fitChunked(model, 64, { engine: "local", objectMemoryBytes, scratch: room });
  await fit.release();
}

describe("memory for pages", () => {
  it("is all there for the next fit when one could not write its results", async () => {
    const nowhere = new Scratch({ spillDir: "/dev/null/nowhere" });
    await expect(fitWithin(18 * mebibyte, nowhere)).rejects.toMatchObject({
      code: "SPILL_DIRECTORY",
    });
    await fitWithin(18 * mebibyte);
  });

  it("does not grow with the number of fits that may use more or less of it", async () => {
    await fitWithin(18 * mebibyte);
    const before = process.memoryUsage.rss();
    for (let n = 0; n < 16; n++) await fitWithin((18 - (n % 2) / 2) * mebibyte);
    // Each of them had 16 MiB of its own.
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * mebibyte);
  });
});
