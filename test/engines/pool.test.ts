/** The pool of threads as an agent uses it: chunks that come one by one, jobs beside each other, careful leases. */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { RangeSet } from "@fascicle/core";
import { allocateOutputs } from "@fascicle/object-store";
import { boardBytes, ChunkBoard, type ThreadJob, ThreadPool, tableOfOwn } from "@fascicle/worker";
import { afterEach, describe, expect, it } from "vitest";
import { carefulProcesses, isCareful } from "../support/carefulProcesses.ts";
import { type TestModelOptions, testModel } from "../support/models.ts";

const pools: ThreadPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()));
});

function newPool(): ThreadPool {
  const pool = new ThreadPool();
  pools.push(pool);
  return pool;
}

/** A job whose board is empty, and what its threads have reported. */
class TestJob {
  readonly spec: ThreadJob;
  readonly board: ChunkBoard;
  readonly done = new RangeSet();
  /** Chunks reported, each as often as it was. */
  reports = 0;
  failure: string | undefined;
  onReceipt = () => {};

  constructor(
    job: string,
    chunks: number,
    options: TestModelOptions,
    more: Partial<ThreadJob> = {},
  ) {
    const { kernel, signals, outputs } = testModel(options);
    const { voxelCount } = signals;
    const buffers = allocateOutputs(outputs, voxelCount, (bytes) => new SharedArrayBuffer(bytes));
    const memory = new SharedArrayBuffer(boardBytes(chunks));
    this.board = new ChunkBoard(memory);
    this.spec = {
      job,
      moduleUrl: kernel.module,
      kernelName: kernel.name,
      parameters: kernel.parameters,
      voxelCount,
      signals: {
        ...signals,
        pageVoxels: signals.voxelsPerSlab,
        table: tableOfOwn(0, signals.slabs.length),
      },
      outputs: outputs.map((field, i) => ({
        ...field,
        table: tableOfOwn(signals.slabs.length + i, 1),
        byteOffset: 0,
      })),
      outputPageVoxels: voxelCount,
      slabs: [...signals.slabs, ...buffers],
      board: memory,
      ...more,
    };
  }

  get status(): Uint8Array {
    return new Uint8Array(this.spec.slabs[this.spec.slabs.length - 1]);
  }

  openIn(pool: ThreadPool, slots: number): void {
    pool.open(this.spec, slots, {
      onReceipt: (ranges) => {
        for (let i = 0; i < ranges.length; i += 2) {
          this.reports += ranges[i + 1] - ranges[i];
          this.done.add({ start: ranges[i], end: ranges[i + 1] });
        }
        this.onReceipt();
      },
      onIdle: () => {},
      onFailed: (_chunk, reason) => {
        this.failure = reason;
      },
    });
  }

  async finished(chunks = this.board.chunkCount): Promise<void> {
    while (this.done.size < chunks && this.failure === undefined) await sleep(5);
  }
}

describe("a pool of threads", () => {
  it("fits each chunk once, however they come to the board", async () => {
    const chunks = 30_000;
    const pool = newPool();
    const job = new TestJob("a", chunks, { voxels: chunks, work: 0 });
    job.openIn(pool, 3);
    // From the end to the front: what is added lies before what is being searched.
    for (let end = chunks; end > 0; end -= 300) {
      job.board.makeReady(end - 300, end);
      pool.go("a");
      if (end % 900 === 0) await sleep(1);
    }
    await job.finished();
    expect(job.failure).toBeUndefined();
    expect(job.reports).toBe(chunks);
    await pool.close("a");
  });

  it("lets a job of higher priority go first, and those of one priority share", async () => {
    const pool = newPool();
    const size = { voxels: 20_000, work: 5_000 };
    const low = new TestJob("low", 20_000, size);
    const short = new TestJob("short", 4_000, { ...size, voxels: 4_000 }, { priority: 1 });
    const long = new TestJob("long", 80, { ...size, voxels: 4_000 }, { priority: 1 });
    low.openIn(pool, 1);
    low.board.makeReady(0, 20_000);
    pool.go("low");
    await low.finished(1);
    let lowBetween = 0;
    const seen: string[] = [];
    for (const [name, job] of [
      ["short", short],
      ["long", long],
    ] as const) {
      job.onReceipt = () => {
        if (seen.length === 0) lowBetween = low.done.size;
        seen.push(name);
      };
      job.openIn(pool, 1);
      job.board.makeReady(0, job.board.chunkCount);
      pool.go(name);
    }
    await Promise.all([short.finished(), long.finished()]);
    // What was under way when they came is finished; nothing is begun before they are done.
    expect(low.done.size - lowBetween).toBeLessThan(low.board.chunkCount / 4);
    // Equal work, so that neither ends before the other has had nearly as much.
    const half = seen.slice(0, seen.length / 2);
    expect(half.includes("short") && half.includes("long")).toBe(true);
    await low.finished();
    await Promise.all(["low", "short", "long"].map((name) => pool.close(name)));
  });

  it("ends a job at once while its threads are busy with another, and disturbs them not", async () => {
    const pool = newPool();
    const entered = new Int32Array(new SharedArrayBuffer(4));
    const other = new TestJob("other", 2, { voxels: 2, kernel: "loops", poison: [0, 1], entered });
    const job = new TestJob("job", 10, { voxels: 10 });
    job.openIn(pool, 2);
    other.openIn(pool, 2);
    other.board.makeReady(0, 2);
    pool.go("other");
    while (Atomics.load(entered, 0) < 2) await sleep(5);
    await pool.close("job");
    expect(pool.busySlots("other")).toBe(2);
    await pool.close("other");
    expect(pool.size).toBe(0);
  });

  it("lays nothing to a job whose thread was ended for the sake of another", async () => {
    const pool = newPool();
    const entered = new Int32Array(new SharedArrayBuffer(4));
    const good = new TestJob("good", 400, { voxels: 400, work: 20_000 });
    good.openIn(pool, 2);
    good.board.makeReady(0, 400);
    pool.go("good");
    for (let round = 1; round <= 3; round++) {
      const bad = new TestJob("bad", 2, { voxels: 2, kernel: "loops", poison: [0, 1], entered });
      bad.openIn(pool, 2);
      bad.board.makeReady(0, 2);
      pool.go("bad");
      while (Atomics.load(entered, 0) < 2 * round) await sleep(5);
      await pool.close("bad");
    }
    await good.finished();
    expect(good.failure).toBeUndefined();
    expect(good.status.every((status) => status === 0)).toBe(true);
    await pool.close("good");
  });

  it("runs a chunk carefully that was leased so, on the board or not", async () => {
    const pool = newPool();
    const job = new TestJob("a", 4, { voxels: 40, kernel: "throws", poison: [25] });
    job.openIn(pool, 1);
    expect(pool.runCarefully("a", 2)).toBe(true);
    expect(pool.runCarefully("a", 2)).toBe(false);
    await job.finished(1);
    expect([...job.done.ranges()]).toEqual([{ start: 2, end: 3 }]);
    expect(job.status.indexOf(6)).toBe(25);
    expect(pool.crashedVoxelsOf("a")).toBe(1);
    await pool.close("a");
    expect(carefulProcesses()).toEqual([]);
  });
});

describe("a careful process", () => {
  it("ends with its parent, however that ends, though its kernel loops", async () => {
    const script = new URL("../support/carefulParent.mjs", import.meta.url).pathname;
    const parent = spawn(process.execPath, [script], { stdio: ["ignore", "ignore", "inherit"] });
    let pids: number[] = [];
    while (pids.length === 0) {
      await sleep(20);
      pids = carefulProcesses(parent.pid);
    }
    // Long enough for the kernel to be in its loop.
    await sleep(1_000);
    expect(pids.every(isCareful)).toBe(true);
    parent.kill("SIGKILL");
    const untilMs = Date.now() + 20_000;
    while (pids.some(isCareful) && Date.now() < untilMs) await sleep(20);
    expect(pids.filter(isCareful)).toEqual([]);
  });
});
