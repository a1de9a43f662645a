import { SlabPool } from "@fascicle/object-store";
import { describe, expect, it } from "vitest";
import { AgentJob } from "./agentJob.ts";
import { PageHost } from "./pageHost.ts";
import { ThreadPool } from "./threadPool.ts";

describe("a fit on a worker", () => {
  it("has no file opened that nobody would close, where there is no memory for it", async () => {
    const pool = new ThreadPool();
    const slabs = new SlabPool(1 << 20);
    const pages = new PageHost({ slabs, pool, spill: undefined, log() {} });
    let opened = 0;
    const spec = {
      ...{ job: "j", model: "m", voxelCount: 10, priority: 0 },
      // No system has memory for the board of so many.
      chunkCount: 2 ** 50,
      kernel: { module: "k", name: "k", hash: "" },
      signals: { width: 1, dtype: "float32" as const, blockVoxels: 10 },
      outputs: [{ name: "a", width: 1, dtype: "float64" as const, units: "" }],
    };
    const begin = () =>
      new AgentJob(
        { type: "open", epoch: 1, slots: 1, windowBytes: 1 << 20, spec },
        {},
        {
          ...{ pool, pages, owner: "j/1", moduleUrl: "" },
          openFile: () => {
            opened++;
            return undefined;
          },
          ...{ say() {}, step() {}, log() {}, onClosed() {} },
          writable: async () => {},
        },
      );
    expect(begin).toThrow(/array buffer/i);
    expect(opened).toBe(0);
    await pool.end();
  });
});
