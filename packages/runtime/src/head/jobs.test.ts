import { emptyHeadState, stepHead } from "@fascicle/core";
import type { JobSpec } from "@fascicle/transport";
import { expect, it } from "vitest";
import { HeadJob, requestOf } from "./jobs.ts";

const spec: JobSpec = {
  job: "j",
  model: "csd",
  voxelCount: 100,
  chunkCount: 4,
  signals: { width: 1, dtype: "float32", blockVoxels: 100 },
  outputs: [{ name: "values", width: 1, dtype: "float64", units: "1" }],
  kernel: { module: "m", name: "k", hash: "h" },
};

it("a fit is done as far as its chunks are settled, whatever workers have fitted and nobody has taken", () => {
  const state = emptyHeadState();
  const settled = [{ start: 0, end: 1 }];
  stepHead(state, { type: "JobSubmitted", request: requestOf(spec, settled), nowMs: 0 }, []);
  stepHead(state, { type: "DriverAway", job: "j", nowMs: 1 }, []);
  const job = new HeadJob(spec, new Uint8Array(), "k", undefined);
  job.progress("a", 60);
  job.progress("b", 30);
  expect(job.status(state.jobs.get("j")!)).toMatchObject({
    state: "waiting for its driver",
    chunks: { total: 4, settled: 1 },
    voxels: { total: 100, done: 25, fitted: 90 },
    priority: 0,
  });
});
