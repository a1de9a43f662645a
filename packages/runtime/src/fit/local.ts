/** The local engine: threads in this process that draw chunks from shared memory and write into place. */
import { type Range, RangeSet } from "@fascicle/core";
import { boardBytes, ChunkBoard, physicalCores, ThreadPool, usableCores } from "@fascicle/worker";
import { v7 as newId } from "uuid";
import { abortReason, FitError, sentence } from "../errors.ts";
import {
  chunksToFit,
  type Engine,
  type EngineReport,
  type EngineTask,
  voxelsSettled,
} from "./engine.ts";
import { kernelModuleUrl } from "./kernelModules.ts";
import { LocalPages } from "./localPages.ts";
import { pagedModel } from "./pagedModel.ts";

const progressIntervalMs = 100;

/** Threads stay warm from fit to fit; idle ones do not keep the process alive. */
let pool: ThreadPool | undefined;

/** Ends the threads of the local engine. Later fits start new ones. */
export async function endLocalThreads(): Promise<void> {
  const ending = pool;
  pool = undefined;
  await ending?.end();
}

/** Nothing will lie in this slab any more. */
export function forgetSlab(slab: number): void {
  pool?.dropSlab(slab);
}

export const localEngine: Engine = async (task) => {
  const { model, chunkCount, signal, progress, settled, onSettled } = task;
  pool ??= new ThreadPool();
  const threads = pool;
  const workers = Math.min(task.workers ?? usableCores(), chunkCount);
  const memory = new SharedArrayBuffer(boardBytes(chunkCount));
  const board = new ChunkBoard(memory);
  const job = newId();
  const done = new RangeSet(...settled.ranges());
  const voxelsBefore = voxelsSettled(task);
  const begunMs = performance.now();
  let firstMs = 0;
  let lastReceiptMs = begunMs;
  let computeSeconds = 0;
  let onAbort: (() => void) | undefined;
  let isOpen = false;
  const reporter = setInterval(() => {
    if (firstMs === 0 && board.voxelsDone > 0) firstMs = performance.now();
    progress.update(voxelsBefore + board.voxelsDone, workers);
  }, progressIntervalMs);
  let pages: LocalPages | undefined;
  let retried = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = () => reject(abortReason(signal!));
      signal?.addEventListener("abort", onAbort, { once: true });
      // It may have been aborted before there was anything to stop.
      if (signal?.aborted) onAbort();
      if (done.size === chunkCount) {
        resolve();
        return;
      }
      const inPlace = (chunks: Range) => {
        if (done.add(chunks) > 0) onSettled(chunks);
        if (done.size === chunkCount) resolve();
      };
      pages = LocalPages.of(task, job, threads, board, {
        ready: ({ start, end }) => {
          board.makeReady(start, end);
          if (isOpen) threads.go(job);
        },
        inPlace,
        failed: (error) => reject(pageFailure(model.name, error)),
      });
      pages.want(chunksToFit(task));
      threads.open(threadJob(task, job, memory, pages), workers, {
        onReceipt: (ranges, seconds, isCareful) => {
          firstMs ||= performance.now();
          lastReceiptMs = performance.now();
          if (!isCareful) computeSeconds += seconds;
          for (let i = 0; i < ranges.length; i += 2) {
            pages!.fitted({ start: ranges[i], end: ranges[i + 1] });
          }
        },
        onIdle: () => {},
        onFailed: (chunk, reason) => reject(new FitError(failure(model.name, chunk, reason))),
      });
      isOpen = true;
    });
  } finally {
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
    clearInterval(reporter);
    retried = threads.retriedOf(job);
    await threads.close(job);
    await pages?.close(done.size === chunkCount);
  }
  progress.update(model.signals.voxelCount, workers);
  const report: EngineReport = {
    workers,
    physicalCores: Math.min(workers, physicalCores()),
    computeSeconds,
    copySeconds: 0,
    queueSeconds: Math.max(0, firstMs - begunMs) / 1000,
    tailSeconds: (performance.now() - lastReceiptMs) / 1000,
    attempts: { run: chunkCount - settled.size + retried, lost: 0, retried },
  };
  return report;
};

function threadJob(task: EngineTask, job: string, board: SharedArrayBuffer, pages: LocalPages) {
  const { model, results, voxelTimeoutMs, priority } = task;
  return {
    job,
    moduleUrl: kernelModuleUrl(model.kernel.module),
    kernelName: model.kernel.name,
    parameters: model.kernel.parameters,
    voxelCount: model.signals.voxelCount,
    ...pagedModel(model, results, pages.tables),
    board,
    voxelTimeoutMs,
    priority,
  };
}

function failure(model: string, chunk: number, reason: string): string {
  const what = chunk < 0 ? "could not begin" : "failed";
  return `The ${model} fit ${what}: ${sentence(reason)}`;
}

/** Memory and disk say what to do by themselves. */
function pageFailure(model: string, error: Error): Error {
  if ("code" in error && typeof error.code === "string") return error;
  return new FitError(failure(model, 0, error.message), { cause: error });
}
