/** The local engine: threads in this process that draw chunks from shared memory and write into place. */
import { RangeSet } from "@fascicle/core";
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

const progressIntervalMs = 100;

/** Threads stay warm from fit to fit; idle ones do not keep the process alive. */
let pool: ThreadPool | undefined;

/** Ends the threads of the local engine. Later fits start new ones. */
export async function endLocalThreads(): Promise<void> {
  const ending = pool;
  pool = undefined;
  await ending?.end();
}

export const localEngine: Engine = async (task) => {
  const { model, chunkCount, signal, progress, settled, onSettled } = task;
  pool ??= new ThreadPool();
  const threads = pool;
  const workers = Math.min(task.workers ?? usableCores(), chunkCount);
  const memory = new SharedArrayBuffer(boardBytes(chunkCount));
  const board = new ChunkBoard(memory);
  const spec = threadJob(task, memory);
  const done = new RangeSet(...settled.ranges());
  const voxelsBefore = voxelsSettled(task);
  const begunMs = performance.now();
  let firstMs = 0;
  let lastReceiptMs = begunMs;
  let computeSeconds = 0;
  let onAbort: (() => void) | undefined;
  const reporter = setInterval(() => {
    if (firstMs === 0 && board.voxelsDone > 0) firstMs = performance.now();
    progress.update(voxelsBefore + board.voxelsDone, workers);
  }, progressIntervalMs);
  let retried = 0;
  try {
    for (const { start, end } of chunksToFit(task).ranges()) board.makeReady(start, end);
    await new Promise<void>((resolve, reject) => {
      onAbort = () => reject(abortReason(signal!));
      signal?.addEventListener("abort", onAbort, { once: true });
      // It may have been aborted before there was anything to stop.
      if (signal?.aborted) onAbort();
      if (done.size === chunkCount) {
        resolve();
        return;
      }
      threads.open(spec, workers, {
        onReceipt: (ranges, seconds, isCareful) => {
          firstMs ||= performance.now();
          lastReceiptMs = performance.now();
          if (!isCareful) computeSeconds += seconds;
          for (let i = 0; i < ranges.length; i += 2) {
            const chunks = { start: ranges[i], end: ranges[i + 1] };
            if (done.add(chunks) > 0) onSettled(chunks);
          }
          if (done.size === chunkCount) resolve();
        },
        onIdle: () => {},
        onFailed: (chunk, reason) => reject(new FitError(failure(model.name, chunk, reason))),
      });
    });
  } finally {
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
    clearInterval(reporter);
    retried = threads.retriedOf(spec.job);
    await threads.close(spec.job);
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

function threadJob(task: EngineTask, board: SharedArrayBuffer) {
  const { model, outputs, voxelTimeoutMs, priority } = task;
  return {
    job: newId(),
    moduleUrl: kernelModuleUrl(model.kernel.module),
    kernelName: model.kernel.name,
    parameters: model.kernel.parameters,
    voxelCount: model.signals.voxelCount,
    signals: model.signals,
    outputs: model.outputs.map((field, i) => ({ ...field, buffer: outputs[i] })),
    board,
    voxelTimeoutMs,
    priority,
  };
}

function failure(model: string, chunk: number, reason: string): string {
  const what = chunk < 0 ? "could not begin" : "failed";
  return `The ${model} fit ${what}: ${sentence(reason)}`;
}
