/** The body of a worker thread: draws chunks from the boards of its jobs and fits them in place. */
import { parentPort, workerData } from "node:worker_threads";
import { chunkStart, type KernelModule, type OutputView, type VoxelKernel } from "@fascicle/core";
import { nextBatch, outputView, signalView } from "@fascicle/object-store";
import { ChunkBoard } from "./chunkBoard.ts";
import type { FromThread, ThreadJob, ToThread } from "./threadMessages.ts";

/** Voxels between two looks at the cancel word. */
const batchVoxels = 32;
/** Receipts are sent this often at most, and when there is nothing left to draw. */
const receiptIntervalMs = 20;
/** A thread listens to messages this often. */
const turnMs = 50;

if (parentPort === null) throw new Error("threadMain runs as a worker thread only.");
const port = parentPort;
const slot = (workerData as { readonly slot: number }).slot;
const post = (message: FromThread) => port.postMessage(message);

/** One job in this thread. */
class OpenJob {
  readonly #spec: ThreadJob;
  readonly #kernel: VoxelKernel;
  readonly #board: ChunkBoard;
  readonly #slabs: readonly (Float32Array | Float64Array)[];
  readonly #outputs: readonly OutputView[];
  #ranges: number[] = [];
  #computeMs = 0;
  #lastReceiptMs = performance.now();

  constructor(spec: ThreadJob, kernel: VoxelKernel) {
    this.#spec = spec;
    this.#kernel = kernel;
    this.#board = new ChunkBoard(spec.board);
    this.#slabs = spec.signals.slabs.map((slab) => signalView(spec.signals.dtype, slab));
    this.#outputs = spec.outputs.map(({ dtype, buffer }) => outputView(dtype, buffer));
  }

  /** Fits chunks until `untilMs` or until there is none; says whether there may be more. */
  work(untilMs: number): boolean {
    for (;;) {
      const chunk = this.#board.isCancelled ? -1 : this.#board.claim(slot);
      if (chunk < 0) {
        this.#sendReceipt();
        post({ type: "idle", job: this.#spec.job });
        return false;
      }
      if (!this.#fit(chunk)) continue;
      const nowMs = performance.now();
      if (nowMs - this.#lastReceiptMs > receiptIntervalMs) this.#sendReceipt();
      if (nowMs > untilMs) return true;
    }
  }

  #fit(chunk: number): boolean {
    const { job, voxelCount, signals } = this.#spec;
    const begunMs = performance.now();
    const end = chunkStart(voxelCount, this.#board.chunkCount, chunk + 1);
    let voxel = chunkStart(voxelCount, this.#board.chunkCount, chunk);
    try {
      while (voxel < end) {
        if (this.#board.isCancelled) return false;
        const { slab, first, count } = nextBatch(voxel, end, signals.voxelsPerSlab, batchVoxels);
        this.#kernel.fit(this.#slabs[slab], first, count, this.#outputs, voxel);
        this.#board.addVoxels(count);
        voxel += count;
      }
    } catch (error) {
      post({ type: "failed", job, chunk, reason: reasonOf(error) });
      return false;
    }
    this.#computeMs += performance.now() - begunMs;
    if (this.#board.finish(chunk, slot)) this.#addToReceipt(chunk);
    return true;
  }

  #addToReceipt(chunk: number): void {
    const last = this.#ranges.length - 1;
    if (this.#ranges[last] === chunk) this.#ranges[last] = chunk + 1;
    else this.#ranges.push(chunk, chunk + 1);
  }

  #sendReceipt(): void {
    this.#lastReceiptMs = performance.now();
    if (this.#ranges.length === 0) return;
    const computeSeconds = this.#computeMs / 1000;
    post({ type: "receipt", job: this.#spec.job, ranges: this.#ranges, computeSeconds });
    this.#ranges = [];
    this.#computeMs = 0;
  }
}

const jobs = new Map<string, OpenJob>();
/** Jobs that may have chunks to draw. */
const ready = new Set<string>();
/** Jobs told to go before their kernel was made. */
const opening = new Set<string>();
let isTurning = false;

async function open(spec: ThreadJob): Promise<void> {
  opening.add(spec.job);
  try {
    const module = (await import(spec.moduleUrl)) as KernelModule;
    const kernel = module.createKernel(spec.kernelName, spec.parameters);
    if (!opening.delete(spec.job)) return;
    jobs.set(spec.job, new OpenJob(spec, kernel));
    go(spec.job);
  } catch (error) {
    opening.delete(spec.job);
    post({ type: "failed", job: spec.job, chunk: -1, reason: reasonOf(error) });
  }
}

function go(job: string): void {
  if (!jobs.has(job)) return;
  ready.add(job);
  if (!isTurning) {
    isTurning = true;
    setImmediate(turn);
  }
}

/** One turn: every ready job gets an equal share of it; then messages are read. */
function turn(): void {
  for (const job of [...ready]) {
    const untilMs = performance.now() + turnMs / ready.size;
    if (!jobs.get(job)?.work(untilMs)) ready.delete(job);
  }
  isTurning = ready.size > 0;
  if (isTurning) setImmediate(turn);
}

function close(job: string): void {
  opening.delete(job);
  jobs.delete(job);
  ready.delete(job);
  post({ type: "closed", job });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

port.on("message", (message: ToThread) => {
  if (message.type === "open") void open(message.job);
  else if (message.type === "go") go(message.job);
  else close(message.job);
});
