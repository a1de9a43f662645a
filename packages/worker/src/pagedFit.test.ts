import type { ScratchSpace } from "@fascicle/core";
import { SlabPool } from "@fascicle/object-store";
import { describe, expect, it } from "vitest";
import { PagedFit } from "./pagedFit.ts";
import { PageHost } from "./pageHost.ts";
import { ThreadPool } from "./threadPool.ts";

const blockVoxels = 20_000;
const blockBytes = blockVoxels * 4;

/** A fit of four chunks of a block each, in memory for two blocks. */
function fitOfFour(spill?: ScratchSpace) {
  const said: string[] = [];
  const host = new PageHost({
    slabs: new SlabPool(2 * blockBytes),
    pool: new ThreadPool(),
    spill,
    log: (sentence) => said.push(sentence),
  });
  const ready: number[] = [];
  const ended: number[] = [];
  const fit = new PagedFit(
    "fit",
    {
      voxelCount: 4 * blockVoxels,
      chunkCount: 4,
      signals: { width: 1, dtype: "float32", blockVoxels },
      outputs: [],
    },
    { signals: true, outputs: false },
    host,
    {
      load: async () => {},
      ready: ({ start, end }) => {
        for (let chunk = start; chunk < end; chunk++) ready.push(chunk);
      },
      ended: ({ start, end }) => {
        for (let chunk = start; chunk < end; chunk++) ended.push(chunk);
      },
      failed: (error) => {
        throw error;
      },
    },
  );
  const pinned = () => host.list()[0].pinnedBytes / blockBytes;
  return { fit, ready, ended, pinned, said };
}

const only = (chunk: number) => ({ start: chunk, end: chunk + 1 });
const loaded = () => new Promise((resolve) => setTimeout(resolve, 10));

describe("the pages of a fit", () => {
  it("stay under a thread whose chunk is forgotten, and its work counts if that is wanted again", async () => {
    const { fit, ready, ended, pinned } = fitOfFour();
    fit.want({ start: 0, end: 3 });
    await loaded();
    expect(ready).toEqual([0, 1]);
    fit.forget(only(0), [only(0)]);
    expect([pinned(), ended]).toEqual([2, []]);
    // Chunk 2 waits before it for pages.
    fit.want(only(0));
    expect(ready).toEqual([0, 1, 0]);
    fit.fitted(only(0));
    fit.forget(only(0), [only(0)]);
    await loaded();
    expect([ready, ended]).toEqual([[0, 1, 0, 2], [0]]);
    await fit.close();
  });

  it("go when the chunk that a dead thread was at is taken off the board", async () => {
    const { fit, ready, ended, pinned } = fitOfFour();
    fit.want({ start: 0, end: 3 });
    await loaded();
    fit.forget({ start: 0, end: 2 }, [{ start: 0, end: 2 }]);
    fit.withdrawn(only(1));
    await loaded();
    expect([pinned(), ready, ended]).toEqual([2, [0, 1, 2], [1]]);
    await fit.close();
  });

  it("are dropped where they cannot be on disk, which is told once", async () => {
    const { fit, ready, said } = fitOfFour({
      limitBytes: 4 * blockBytes,
      create: async () => {
        throw new Error("there is no disk");
      },
    });
    fit.want({ start: 0, end: 4 });
    await loaded();
    fit.forget({ start: 0, end: 2 }, []);
    await loaded();
    expect(ready).toEqual([0, 1, 2, 3]);
    await fit.close();
    expect(said).toEqual(["fit fit spills no more: there is no disk"]);
  });

  it("are not taken by what is told of an earlier lease", async () => {
    const { fit, ready } = fitOfFour();
    fit.want({ start: 0, end: 3 });
    await loaded();
    fit.fitted(only(2));
    fit.fitted(only(0));
    await loaded();
    expect(ready).toEqual([0, 1, 2]);
    await fit.close();
  });
});
