import type { BlockName } from "./events.ts";

export interface TransferLimits {
  /** Blocks that a host sends at a time. */
  readonly sendsPerHost: number;
  /** A host does not try another one again that it failed to get something from this often. */
  readonly missesPerPair: number;
  /** A host that so many others failed with, and none got anything from since, is asked no more; likewise one that failed with so many. */
  readonly missesPerHost: number;
}

export const defaultTransferLimits: TransferLimits = {
  sendsPerHost: 2,
  missesPerPair: 2,
  missesPerHost: 3,
};

/** A block that a host lacks. */
export interface Want {
  readonly host: TransferHost;
  readonly entry: BlockEntry;
  phase: "waiting" | "fromDriver" | "fromHost";
  /** Who sends it, where a host does; it may have left meanwhile. */
  source: string | undefined;
  /** Hosts that are not asked again for this block. */
  readonly failed: Set<string>;
}

export interface TransferHost {
  readonly agent: string;
  readonly isReachable: boolean;
  readonly island: string | undefined;
  readonly holds: Set<BlockEntry>;
  readonly wants: Map<BlockEntry, Want>;
  /** What it sends to others now. */
  readonly serving: Set<Want>;
  /** How often in a row it failed with another. */
  readonly missesWith: Map<string, number>;
  /** With whom it failed since it last got something from a host. */
  readonly missedFrom: Set<string>;
  /** Who failed with it since somebody last got something from it. */
  readonly missedBy: Set<string>;
}

/** A block that somebody has or wants. */
export interface BlockEntry {
  readonly object: BlockName;
  /** In the order in which they got it. */
  readonly holders: Set<TransferHost>;
  readonly wants: Set<Want>;
  /** Those of the wants that nobody answers yet, in order. */
  readonly waiting: Set<Want>;
}

export interface TransferState {
  readonly limits: TransferLimits;
  readonly hosts: Map<string, TransferHost>;
  readonly jobs: Map<string, Map<number, BlockEntry>>;
  /** Blocks that somebody waits for without an answer, in order. */
  readonly waiting: Set<BlockEntry>;
}

export function emptyTransferState(limits = defaultTransferLimits): TransferState {
  return { limits, hosts: new Map(), jobs: new Map(), waiting: new Set() };
}

/** Whether `to` may ask `from` for this block, were it there and not busy. */
export function mayServe({ limits }: TransferState, from: TransferHost, want: Want): boolean {
  const to = want.host;
  return (
    from !== to &&
    from.isReachable &&
    (from.island === undefined || from.island === to.island) &&
    !want.failed.has(from.agent) &&
    from.missedBy.size < limits.missesPerHost &&
    to.missedFrom.size < limits.missesPerHost &&
    (to.missesWith.get(from.agent) ?? 0) < limits.missesPerPair
  );
}

/** Whether some host has the block, or is getting it, that can be asked for it. */
export function hasHope(state: TransferState, want: Want): boolean {
  for (const holder of want.entry.holders) if (mayServe(state, holder, want)) return true;
  for (const other of want.entry.wants) {
    if (other.phase !== "waiting" && mayServe(state, other.host, want)) return true;
  }
  return false;
}

/** Throws where a host sends too much, or somebody waits for what never comes or is to be had. */
export function checkTransferInvariants(state: TransferState): void {
  const assertThat = (condition: boolean, message: string) => {
    if (!condition) throw new Error(`Transfer invariant broken: ${message}.`);
  };
  const { limits, hosts, waiting } = state;
  for (const host of hosts.values()) {
    assertThat(host.serving.size <= limits.sendsPerHost, `${host.agent} sends too much at a time`);
    for (const want of host.serving) {
      assertThat(want.phase === "fromHost" && want.source === host.agent, "a sender is not asked");
      assertThat(want.entry.wants.has(want), "something is sent that nobody wants");
    }
    for (const [entry, want] of host.wants) {
      assertThat(entry.wants.has(want) && !entry.holders.has(host), "a want is lost, or met");
    }
    for (const entry of host.holds) assertThat(entry.holders.has(host), "a holder is lost");
  }
  for (const blocks of state.jobs.values()) {
    for (const entry of blocks.values()) checkEntry(state, entry, assertThat);
  }
  for (const entry of waiting) assertThat(entry.waiting.size > 0, "nobody waits for a block");
}

function checkEntry(
  state: TransferState,
  entry: BlockEntry,
  assertThat: (condition: boolean, message: string) => void,
): void {
  const { holders, wants, waiting } = entry;
  assertThat(holders.size + wants.size > 0, "a block is kept that concerns nobody");
  assertThat(state.waiting.has(entry) === waiting.size > 0, "who waits for a block is not known");
  for (const holder of holders) assertThat(holder.holds.has(entry), "a host forgot what it has");
  for (const want of wants) {
    assertThat(want.host.wants.get(entry) === want, "a host forgot what it wants");
    assertThat(waiting.has(want) === (want.phase === "waiting"), "a want is in two phases");
    if (want.phase !== "waiting") continue;
    assertThat(hasHope(state, want), "somebody waits for ever");
    for (const holder of holders) {
      const isFree = holder.serving.size < state.limits.sendsPerHost;
      assertThat(!isFree || !mayServe(state, holder, want), "somebody waits for what is to be had");
    }
  }
}
