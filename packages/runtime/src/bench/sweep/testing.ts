/** For tests only: a record whose times are easily known. */
import type { SweepRecord, SweepRun } from "./record.ts";

const chunkCounts = [2, 8, 32, 128] as const;
/** A round is so much slower or faster than the middle one. */
const rounds = [0.99, 1, 1.01] as const;

/** CSD, 1,000 voxels: serial 8 s; a worker does the work in 8 s, two in 4 s; a chunk costs 1 ms of thread time. */
export function testRecord(): SweepRecord {
  const base = { model: "csd", voxels: 1000 } as const;
  const runs = rounds.flatMap((factor, i): SweepRun[] => [
    { ...base, engine: "serial", workers: 1, chunks: 1, round: i + 1, seconds: 8 * factor },
    ...[1, 2].flatMap((workers) =>
      chunkCounts.map((chunks) => ({
        ...base,
        engine: "local" as const,
        workers,
        chunks,
        round: i + 1,
        seconds: ((8 + 0.001 * chunks) / workers) * factor,
      })),
    ),
  ]);
  return {
    format: 1,
    begunAt: "2026-01-02T03:04:05.000Z",
    updatedAt: "2026-01-02T03:05:05.000Z",
    commands: ["runtime bench sweep"],
    seed: 7,
    machine: {
      processor: "<made up>",
      logicalCores: 2,
      physicalCores: 2,
      usableCores: 2,
      memoryBytes: 2 ** 33,
      system: "Linux 6",
      node: "v20.20.0",
      version: "0.1.0",
      kernels: "0123456789abcdef",
    },
    engine: "local",
    hosts: [],
    workers: [1, 2],
    minChunks: 1,
    maxChunks: 7,
    models: [
      { name: "csd", voxels: 1000, volumes: 65, data: "<a phantom>", inputs: [], options: {} },
    ],
    peer: null,
    skipped: [{ model: "csd", chunks: 1024 }],
    runs,
  };
}
