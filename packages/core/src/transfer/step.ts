/**
 * Who sends which block to whom. A pure machine: the driver sends a block to one host; whoever else wants it waits
 * for hosts that have it, each of which sends to a few at a time, so that n hosts have it after about log n
 * transfers in a row and it leaves the driver once. Whom no host can serve, the driver serves.
 */
import type { BlockName, TransferEffect, TransferEvent } from "./events.ts";
import {
  type BlockEntry,
  hasHope,
  mayServe,
  type TransferHost,
  type TransferState,
  type Want,
} from "./state.ts";

interface Turn {
  readonly state: TransferState;
  readonly effects: TransferEffect[];
}

/** Applies one event. Words of hosts that have left are ignored. */
export function stepTransfer(
  state: TransferState,
  event: TransferEvent,
  effects: TransferEffect[],
): void {
  const turn: Turn = { state, effects };
  if (event.type === "ObjectsGone") {
    objectsGone(turn, event.job);
    return;
  }
  if (event.type === "AgentJoined") {
    if (state.hosts.has(event.agent)) hostLeft(turn, state.hosts.get(event.agent)!);
    state.hosts.set(event.agent, newHost(event));
    return;
  }
  const host = state.hosts.get(event.agent);
  if (host === undefined) return;
  switch (event.type) {
    case "AgentLeft":
      hostLeft(turn, host);
      return;
    case "PartEnded":
      partEnded(turn, host, event.job);
      return;
    case "Wanted":
      wanted(turn, host, event.object);
      return;
    case "Arrived":
      arrived(turn, host, event.object);
      return;
    case "Failed":
      failed(turn, host, event);
      return;
    case "Dropped": {
      const entry = entryOf(state, event.object);
      if (entry !== undefined) dropped(turn, host, entry);
    }
  }
}

function newHost({
  agent,
  isReachable,
  island,
}: Extract<TransferEvent, { type: "AgentJoined" }>): TransferHost {
  return {
    ...{ agent, isReachable, island, holds: new Set(), wants: new Map(), serving: new Set() },
    ...{ missesWith: new Map(), missedFrom: new Set(), missedBy: new Set() },
  };
}

function entryOf({ jobs }: TransferState, { job, block }: BlockName): BlockEntry | undefined {
  return jobs.get(job)?.get(block);
}

function entryFor(state: TransferState, object: BlockName): BlockEntry {
  const { job, block } = object;
  const blocks = state.jobs.get(job) ?? new Map<number, BlockEntry>();
  state.jobs.set(job, blocks);
  let entry = blocks.get(block);
  if (entry === undefined) {
    entry = { object: { job, block }, holders: new Set(), wants: new Set(), waiting: new Set() };
    blocks.set(block, entry);
  }
  return entry;
}

/** Nobody has it and nobody wants it. */
function forgetIfIdle({ jobs }: TransferState, { object, holders, wants }: BlockEntry): void {
  if (holders.size + wants.size > 0) return;
  const blocks = jobs.get(object.job);
  blocks?.delete(object.block);
  if (blocks?.size === 0) jobs.delete(object.job);
}

function wanted(turn: Turn, host: TransferHost, object: BlockName): void {
  const entry = entryFor(turn.state, object);
  if (host.wants.has(entry)) return;
  // Who wants it does not have it, whatever was heard before.
  dropHolder(host, entry);
  const want: Want = { host, entry, phase: "waiting", source: undefined, failed: new Set() };
  host.wants.set(entry, want);
  entry.wants.add(want);
  setWaiting(turn.state, want);
  reconsider(turn, entry);
}

function arrived(turn: Turn, host: TransferHost, object: BlockName): void {
  const entry = entryFor(turn.state, object);
  const want = host.wants.get(entry);
  const source = want && turn.state.hosts.get(want.source ?? "");
  if (want !== undefined) endWant(turn.state, want);
  host.holds.add(entry);
  entry.holders.add(host);
  if (source !== undefined) {
    host.missesWith.delete(source.agent);
    host.missedFrom.clear();
    source.missedBy.clear();
  }
  reconsider(turn, entry);
  if (source !== undefined) offer(turn, source);
}

function failed(
  turn: Turn,
  host: TransferHost,
  { object, source: name, isAbsent }: Extract<TransferEvent, { type: "Failed" }>,
): void {
  const { state } = turn;
  const entry = entryOf(state, object);
  const want = entry && host.wants.get(entry);
  if (entry === undefined || want?.source !== name) return;
  const source = state.hosts.get(name);
  // Of a source that was abandoned it says nothing that it did not get all.
  const isAbandoned = source?.serving.delete(want) !== true;
  want.failed.add(name);
  setWaiting(state, want);
  // Those who counted on either may have to look elsewhere.
  let doubtful: Iterable<BlockEntry> = [entry];
  if (source !== undefined && isAbsent) {
    dropHolder(source, entry);
  } else if (source !== undefined && !isAbandoned) {
    host.missesWith.set(name, (host.missesWith.get(name) ?? 0) + 1);
    host.missedFrom.add(name);
    source.missedBy.add(host.agent);
    doubtful = [...state.waiting];
  }
  for (const each of doubtful) reconsider(turn, each);
  if (source !== undefined) offer(turn, source);
}

function dropped(turn: Turn, host: TransferHost, entry: BlockEntry): void {
  const want = host.wants.get(entry);
  const source = turn.state.hosts.get(want?.source ?? "");
  if (want !== undefined) endWant(turn.state, want);
  dropHolder(host, entry);
  reconsider(turn, entry);
  if (source !== undefined) offer(turn, source);
}

function hostLeft(turn: Turn, host: TransferHost): void {
  const { state } = turn;
  state.hosts.delete(host.agent);
  leave(turn, host, () => true);
  // What failed with a host that dies says nothing of the others.
  for (const other of state.hosts.values()) {
    other.missesWith.delete(host.agent);
    other.missedFrom.delete(host.agent);
    other.missedBy.delete(host.agent);
  }
  for (const entry of [...state.waiting]) reconsider(turn, entry);
}

function partEnded(turn: Turn, host: TransferHost, job: string): void {
  leave(turn, host, ({ object }) => object.job === job);
}

/** The host has and wants those blocks no more. Who is getting one from it is told, and says how far it came. */
function leave(turn: Turn, host: TransferHost, isOver: (entry: BlockEntry) => boolean): void {
  const { state, effects } = turn;
  const touched = new Set<BlockEntry>();
  const freed = new Set<TransferHost>([host]);
  for (const entry of [...host.holds].filter(isOver)) {
    dropHolder(host, entry);
    touched.add(entry);
  }
  for (const want of [...host.wants.values()].filter(({ entry }) => isOver(entry))) {
    const source = state.hosts.get(want.source ?? "");
    if (source !== undefined) freed.add(source);
    endWant(state, want);
    touched.add(want.entry);
  }
  for (const want of [...host.serving].filter(({ entry }) => isOver(entry))) {
    host.serving.delete(want);
    const { object } = want.entry;
    effects.push({ type: "AbandonSource", object, from: host.agent, to: want.host.agent });
  }
  for (const entry of touched) reconsider(turn, entry);
  for (const source of freed) offer(turn, source);
}

function objectsGone(turn: Turn, job: string): void {
  const { state } = turn;
  const freed = new Set<TransferHost>();
  for (const entry of [...(state.jobs.get(job)?.values() ?? [])]) {
    for (const want of [...entry.wants]) {
      const source = state.hosts.get(want.source ?? "");
      if (source !== undefined) freed.add(source);
      endWant(state, want);
    }
    for (const holder of [...entry.holders]) dropHolder(holder, entry);
  }
  state.jobs.delete(job);
  for (const source of freed) offer(turn, source);
}

function dropHolder(host: TransferHost, entry: BlockEntry): void {
  host.holds.delete(entry);
  entry.holders.delete(host);
}

function endWant(state: TransferState, want: Want): void {
  const { host, entry } = want;
  state.hosts.get(want.source ?? "")?.serving.delete(want);
  host.wants.delete(entry);
  entry.wants.delete(want);
  stopWaiting(state, want);
}

function setWaiting(state: TransferState, want: Want): void {
  want.phase = "waiting";
  want.source = undefined;
  want.entry.waiting.add(want);
  state.waiting.add(want.entry);
}

function stopWaiting(state: TransferState, want: Want): void {
  const { entry } = want;
  entry.waiting.delete(want);
  if (entry.waiting.size === 0) state.waiting.delete(entry);
}

/** Finds a source for whoever waits for this block: a host that has it, or the driver where no host will. */
function reconsider(turn: Turn, entry: BlockEntry): void {
  const { state } = turn;
  // Where the first finds all holders busy, others who may ask everybody need not look.
  let areAllBusy = false;
  for (const want of [...entry.waiting]) {
    const { missesWith, island } = want.host;
    const isPlain = want.failed.size + missesWith.size === 0 && island === undefined;
    if (areAllBusy && isPlain) continue;
    const source = freeSource(state, want);
    if (source !== undefined) sendFromHost(turn, source, want);
    else if (!hasHope(state, want)) sendFromDriver(turn, want);
    else areAllBusy ||= isPlain;
  }
  forgetIfIdle(state, entry);
}

/** The least busy host that has it; of several, the one that has had it longest. */
function freeSource(state: TransferState, want: Want): TransferHost | undefined {
  let best: TransferHost | undefined;
  for (const holder of want.entry.holders) {
    const isFree = holder.serving.size < (best?.serving.size ?? state.limits.sendsPerHost);
    if (isFree && mayServe(state, holder, want)) best = holder;
  }
  return best;
}

/** A host can send again: to whom has waited longest for something that it has. */
function offer(turn: Turn, host: TransferHost): void {
  const { state } = turn;
  for (const entry of [...state.waiting]) {
    if (!entry.holders.has(host)) continue;
    for (const want of [...entry.waiting]) {
      if (host.serving.size >= state.limits.sendsPerHost) return;
      if (mayServe(state, host, want)) sendFromHost(turn, host, want);
    }
  }
}

function sendFromHost({ state, effects }: Turn, source: TransferHost, want: Want): void {
  want.phase = "fromHost";
  want.source = source.agent;
  source.serving.add(want);
  stopWaiting(state, want);
  const { object } = want.entry;
  effects.push({ type: "SendFromHost", object, from: source.agent, to: want.host.agent });
}

function sendFromDriver({ state, effects }: Turn, want: Want): void {
  want.phase = "fromDriver";
  stopWaiting(state, want);
  effects.push({ type: "SendFromDriver", object: want.entry.object, to: want.host.agent });
}
