/** The body of a worker thread: lets its jobs have their turns, and listens in between. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { FairShare, type KernelModule } from "@fascicle/core";
import { ForgottenMemory } from "@fascicle/object-store";
import { OpenJob } from "./openJob.ts";
import { SlabBook } from "./slabBook.ts";
import { SlotWords } from "./slotWords.ts";
import { type FromThread, reasonOf, type ThreadJob, type ToThread } from "./threadMessages.ts";

/** A thread listens to messages this often, if chunks are shorter. */
const listenIntervalMs = 50;
/** Where several jobs are ready, each runs this long at least when it has its turn. */
const turnMs = 10;

if (parentPort === null) throw new Error("threadMain runs as a worker thread only.");
const port = parentPort;
const { slot, news } = workerData as { readonly slot: number; readonly news: MessagePort };
const slabs = new SlabBook(news);
const forgotten = new ForgottenMemory();
const post = (message: FromThread) => port.postMessage(message);

const jobs = new Map<string, OpenJob>();
/** Jobs that may have chunks to draw. */
const ready = new Set<string>();
/** Jobs whose kernels are being made. A job may be closed and opened again meanwhile: the last opening counts. */
const opening = new Map<string, ThreadJob>();
const share = new FairShare();
let isTurning = false;

async function open(spec: ThreadJob, slots: SharedArrayBuffer): Promise<void> {
  const words = new SlotWords(slots);
  const isWanted = () => opening.get(spec.job) === spec;
  opening.set(spec.job, spec);
  // A kernel that dies or hangs while it is made is this job's, too.
  words.enter(slot);
  try {
    const module = (await import(spec.moduleUrl)) as KernelModule;
    const kernel = module.createKernel(spec.kernelName, spec.parameters);
    if (!isWanted()) return;
    opening.delete(spec.job);
    const bufferOf = (name: number) => slabs.bufferOf(name);
    jobs.set(spec.job, new OpenJob(spec, kernel, slot, words, bufferOf, post));
    share.add(spec.job, spec.priority);
    go(spec.job);
  } catch (error) {
    if (!isWanted()) return;
    opening.delete(spec.job);
    post({ type: "failed", job: spec.job, reason: reasonOf(error) });
  } finally {
    words.leave(slot);
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

/** Turns of ready jobs, one after the other, until it is time to listen. */
function turn(): void {
  forgotten.add(slabs.read());
  const begunMs = performance.now();
  const untilMs = begunMs + listenIntervalMs;
  for (let nowMs = begunMs; nowMs < untilMs; ) {
    const job = share.next(ready);
    if (job === undefined) break;
    // One that has no turn for long has chunks to report all the same.
    for (const other of ready) if (other !== job) jobs.get(other)!.reportIfDue(nowMs);
    const mayBeMore = jobs.get(job)!.work(ready.size > 1 ? nowMs + turnMs : untilMs);
    if (!mayBeMore) ready.delete(job);
    const endedMs = performance.now();
    share.charge(job, endedMs - nowMs);
    nowMs = endedMs;
  }
  isTurning = ready.size > 0;
  if (isTurning) setImmediate(turn);
}

function close(job: string): void {
  const ownBytes = jobs.get(job)?.ownBytes ?? 0;
  opening.delete(job);
  jobs.delete(job);
  ready.delete(job);
  share.remove(job);
  // What only this job had would stay with the process until this thread collects its garbage.
  forgotten.add(ownBytes + slabs.read());
}

port.on("message", (message: ToThread) => {
  if (message.type === "open") void open(message.job, message.slots);
  else if (message.type === "go") go(message.job);
  else close(message.job);
});
