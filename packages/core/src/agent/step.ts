/**
 * The host's half of the scheduler, as pure as the head's: leases come in, chunks go from waiting for their signals
 * to the threads, to the wire, and are forgotten when the driver has them. Threads draw chunks by themselves; this
 * machine hears of them in ranges.
 */
import type { Range } from "../chunks.ts";
import { RangeSet } from "../rangeSet.ts";
import type { AgentEffect, AgentEvent } from "./events.ts";
import { type AgentJobState, type AgentState, newAgentJob, type ReportedFailure } from "./state.ts";

/** Applies one event; effects are pushed in the order in which they must be carried out. */
export function stepAgent(state: AgentState, event: AgentEvent, effects: AgentEffect[]): void {
  if (event.type === "HeadLost") {
    for (const job of state.jobs.values()) {
      job.isAttached = false;
      job.hasAsked = false;
    }
    return;
  }
  if (event.type === "Draining") {
    state.isDraining = true;
    for (const job of state.jobs.values()) handBackAll(job, effects);
    return;
  }
  if (event.type === "JobOpened") {
    const { epoch, slots, chunksPerRun, windowBytes } = event;
    const opened = newAgentJob(event.job, epoch, slots, chunksPerRun, windowBytes);
    state.jobs.set(event.job, opened);
    return;
  }
  const job = state.jobs.get(event.job);
  if (job !== undefined) {
    stepJob(state, job, event, effects);
    return;
  }
  // A job that was closed meanwhile: threads and the head may still speak of it. Only one that the head takes for
  // open here must not be passed over: it has not heard that there was no room for it.
  if (event.type !== "JobAdopted") return;
  effects.push({ type: "DeferJob", job: event.job, epoch: event.epoch });
}

type JobEvent = Exclude<AgentEvent, { type: "HeadLost" | "Draining" | "JobOpened" }>;

function stepJob(
  state: AgentState,
  job: AgentJobState,
  event: JobEvent,
  effects: AgentEffect[],
): void {
  switch (event.type) {
    case "JobAdopted":
      adopted(state, job, event.epoch, event.keeps, effects);
      return;
    case "Leased":
      if (event.epoch === job.epoch) leased(state, job, event, effects);
      return;
    case "Recalled":
      if (event.epoch === job.epoch) handBack(job, event.chunks, "recall", effects);
      return;
    case "SignalsHere":
      signalsHere(job, event.chunks, effects);
      return;
    case "ChunksFitted":
      chunksFitted(state, job, event, effects);
      return;
    case "Withdrawn":
      withdrawn(state, job, event, effects);
      return;
    case "SendDue":
      job.isGathering = false;
      job.isDue = true;
      sendNext(job, effects);
      return;
    case "RunSent":
      job.isSending = false;
      if (event.epoch === job.epoch) job.unsettledBytes += event.bytes;
      sendNext(job, effects);
      return;
    case "Credited":
      // What was sent before this host was taken in anew counts no more, but may be credited still.
      if (event.epoch !== job.epoch) return;
      job.unsettledBytes -= event.bytes;
      sendNext(job, effects);
      return;
    case "Settled":
      settled(state, job, event.chunks, effects);
      return;
    case "ExecutionFailed": {
      const { chunks, failure, reason } = event;
      report(job, { chunks, failure, reason }, effects);
      job.failures.push({ chunks, failure, reason });
      return;
    }
    case "JobClosed":
      state.jobs.delete(job.job);
      effects.push({ type: "ReleaseJob", job: job.job });
  }
}

/** A head knows this opening now, under a new name: results whose receipt was never heard are sent again. */
function adopted(
  state: AgentState,
  job: AgentJobState,
  epoch: number,
  keeps: readonly Range[],
  effects: AgentEffect[],
): void {
  job.epoch = epoch;
  job.isAttached = true;
  job.hasAsked = false;
  job.unsettledBytes = 0;
  for (const range of [...job.sent.ranges()]) job.fitted.add(range);
  for (const range of [...job.sent.ranges()]) job.sent.remove(range);
  const dropped = new RangeSet(...job.leased.ranges());
  for (const range of keeps) dropped.remove(range);
  for (const range of dropped.ranges()) drop(job, range, effects);
  handBackMissing(job, keeps, effects);
  for (const failure of job.failures) report(job, failure, effects);
  for (const range of job.waiting.ranges()) {
    effects.push({ type: "FetchSignals", job: job.job, chunks: range });
  }
  if (state.isDraining) handBackAll(job, effects);
  sendNext(job, effects);
  askForWork(state, job, effects);
}

/** What the head believes to be here and is not: it was handed back, or failed, in words that the head never heard. */
function handBackMissing(
  job: AgentJobState,
  keeps: readonly Range[],
  effects: AgentEffect[],
): void {
  const missing = new RangeSet(...keeps);
  for (const range of job.leased.ranges()) missing.remove(range);
  if (missing.size === 0) return;
  const ranges = [...missing.ranges()];
  const { epoch } = job;
  effects.push({ type: "ReturnRanges", job: job.job, epoch, ranges, isRecall: false });
}

function report(
  { job, epoch }: AgentJobState,
  { chunks, failure, reason }: ReportedFailure,
  effects: AgentEffect[],
): void {
  effects.push({ type: "ReportFailure", job, epoch, chunks, failure, reason });
}

function leased(
  state: AgentState,
  job: AgentJobState,
  { chunks, isCareful }: { readonly chunks: Range; readonly isCareful: boolean },
  effects: AgentEffect[],
): void {
  job.hasAsked = false;
  if (state.isDraining) {
    const { epoch } = job;
    const ranges = [chunks];
    effects.push({ type: "ReturnRanges", job: job.job, epoch, ranges, isRecall: false });
    return;
  }
  job.leased.add(chunks);
  job.waiting.add(chunks);
  if (isCareful) job.careful.add(chunks);
  effects.push({ type: "FetchSignals", job: job.job, chunks });
  askForWork(state, job, effects);
}

function signalsHere(job: AgentJobState, chunks: Range, effects: AgentEffect[]): void {
  for (const range of job.waiting.remove(chunks)) {
    job.ready.add(range);
    const alone = job.careful.remove(range);
    const together = new RangeSet(range);
    for (const careful of alone) {
      together.remove(careful);
      effects.push({ type: "RunCarefully", job: job.job, chunks: careful });
    }
    for (const others of together.ranges()) {
      effects.push({ type: "MakeReady", job: job.job, chunks: others });
    }
  }
}

function chunksFitted(
  state: AgentState,
  job: AgentJobState,
  { ranges, busySlots, chunksAhead }: Extract<AgentEvent, { type: "ChunksFitted" }>,
  effects: AgentEffect[],
): void {
  job.busySlots = busySlots;
  job.chunksAhead = chunksAhead ?? job.chunksAhead;
  for (const range of ranges) {
    // After a thread's death chunks are reported twice: only what was open counts.
    for (const fresh of job.ready.remove(range)) job.fitted.add(fresh);
  }
  askForWork(state, job, effects);
  sendNext(job, effects);
}

function settled(
  state: AgentState,
  job: AgentJobState,
  chunks: Range,
  effects: AgentEffect[],
): void {
  drop(job, chunks, effects);
  askForWork(state, job, effects);
}

/** Forgets chunks; what no thread has begun need not be. */
function drop(job: AgentJobState, chunks: Range, effects: AgentEffect[]): void {
  for (const range of forget(job, chunks)) {
    effects.push({ type: "Withdraw", job: job.job, chunks: range, purpose: "drop" });
  }
  effects.push({ type: "ForgetChunks", job: job.job, chunks });
}

/** Takes chunks out of every place; gives those that are with the threads. */
function forget(job: AgentJobState, chunks: Range): Range[] {
  job.leased.remove(chunks);
  for (const place of [job.waiting, job.careful, job.fitted, job.sent]) place.remove(chunks);
  return job.ready.remove(chunks);
}

function handBackAll(job: AgentJobState, effects: AgentEffect[]): void {
  const held = job.leased.ranges();
  if (held.length === 0) return;
  handBack(job, { start: held[0].start, end: held[held.length - 1].end }, "drain", effects);
}

/** Hands back what has no signals yet, and else asks the board what no thread has begun; `withdrawn` goes on. */
function handBack(
  job: AgentJobState,
  chunks: Range,
  purpose: "recall" | "drain",
  effects: AgentEffect[],
): void {
  const ranges = job.waiting.remove(chunks);
  job.careful.remove(chunks);
  for (const range of ranges) {
    job.leased.remove(range);
    effects.push({ type: "ForgetChunks", job: job.job, chunks: range });
  }
  const isRecall = purpose === "recall";
  const { epoch } = job;
  if (ranges.length > 0) {
    effects.push({ type: "ReturnRanges", job: job.job, epoch, ranges, isRecall });
    if (isRecall) return;
  }
  effects.push({ type: "Withdraw", job: job.job, chunks, purpose });
}

function withdrawn(
  state: AgentState,
  job: AgentJobState,
  event: Extract<AgentEvent, { type: "Withdrawn" }>,
  effects: AgentEffect[],
): void {
  if (event.purpose === "drop") return;
  const returned = new RangeSet();
  for (const range of event.ranges) {
    for (const part of job.ready.remove(range)) returned.add(part);
  }
  for (const range of returned.ranges()) {
    job.leased.remove(range);
    effects.push({ type: "ForgetChunks", job: job.job, chunks: range });
  }
  const { epoch } = job;
  const isRecall = event.purpose === "recall";
  const ranges = [...returned.ranges()];
  if (!isRecall && ranges.length === 0) return;
  effects.push({ type: "ReturnRanges", job: job.job, epoch, ranges, isRecall });
  askForWork(state, job, effects);
}

/** Asks before the threads run dry. */
function askForWork(state: AgentState, job: AgentJobState, effects: AgentEffect[]): void {
  const notBegun = job.waiting.size + job.ready.size - job.busySlots;
  if (notBegun >= job.chunksAhead) return;
  if (job.hasAsked || !job.isAttached || state.isDraining) return;
  job.hasAsked = true;
  effects.push({ type: "AskForWork", job: job.job, epoch: job.epoch });
}

/** Sends a run when it fills a frame, has waited long enough for neighbours, or none are coming. */
function sendNext(job: AgentJobState, effects: AgentEffect[]): void {
  if (job.isSending || !job.isAttached || job.unsettledBytes >= job.windowBytes) return;
  // A thread alone reports in runs: it has no neighbours to wait for.
  const mayWait = job.slots > 1 && job.ready.size > 0 && !job.isDue;
  if (mayWait && job.fitted.size < job.chunksPerRun) {
    if (job.fitted.size === 0 || job.isGathering) return;
    job.isGathering = true;
    effects.push({ type: "Gather", job: job.job });
    return;
  }
  const chunks = job.fitted.takeFirst(job.chunksPerRun);
  if (job.fitted.size === 0) job.isDue = false;
  if (chunks === undefined) return;
  job.sent.add(chunks);
  job.isSending = true;
  effects.push({ type: "SendRun", job: job.job, epoch: job.epoch, chunks });
}
