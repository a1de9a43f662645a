/**
 * Who gets a host's object memory. A pure machine: a job has all the room that it needs or none, so that two that
 * do not fit side by side never wait for each other half way.
 */

export interface StoreState {
  readonly limitBytes: number;
  /** Bytes of each job that has room. */
  readonly granted: Map<string, number>;
  /** Jobs that are ending: their room is not free before their threads have let go. */
  readonly leaving: Set<string>;
  /** Jobs that will have room when those that leave have left, in the order in which they came. */
  readonly waiting: Map<string, number>;
}

export type StoreEvent =
  | { readonly type: "RoomWanted"; readonly job: string; readonly bytes: number }
  | { readonly type: "JobLeaving"; readonly job: string }
  /** Nothing can touch its memory any more; or it wants no room now. */
  | { readonly type: "JobGone"; readonly job: string };

export type StoreEffect =
  | { readonly type: "GrantRoom"; readonly job: string }
  /** There is no room beside jobs that go on: to be asked for again when one of them ends. */
  | { readonly type: "DeferJob"; readonly job: string }
  /** It can never have room here. */
  | { readonly type: "RefuseJob"; readonly job: string };

export function emptyStoreState(limitBytes: number): StoreState {
  return { limitBytes, granted: new Map(), leaving: new Set(), waiting: new Map() };
}

export function stepStore(state: StoreState, event: StoreEvent, effects: StoreEffect[]): void {
  const { job } = event;
  switch (event.type) {
    case "RoomWanted":
      if (event.bytes > state.limitBytes) effects.push({ type: "RefuseJob", job });
      else state.waiting.set(job, event.bytes);
      break;
    case "JobLeaving":
      if (state.granted.has(job)) state.leaving.add(job);
      state.waiting.delete(job);
      break;
    case "JobGone":
      state.granted.delete(job);
      state.leaving.delete(job);
      state.waiting.delete(job);
  }
  decide(state, effects);
}

/** Bytes granted, those of jobs that leave included. */
export function grantedBytes(state: StoreState): number {
  let sum = 0;
  for (const bytes of state.granted.values()) sum += bytes;
  return sum;
}

function decide(state: StoreState, effects: StoreEffect[]): void {
  for (const [job, bytes] of state.waiting) {
    const freeBytes = state.limitBytes - grantedBytes(state);
    if (bytes <= freeBytes) {
      state.waiting.delete(job);
      state.granted.set(job, bytes);
      effects.push({ type: "GrantRoom", job });
    } else if (bytes > freeBytes + leavingBytes(state)) {
      state.waiting.delete(job);
      effects.push({ type: "DeferJob", job });
    } else {
      // Those behind it wait as well: else small jobs would keep a large one out for ever.
      return;
    }
  }
}

function leavingBytes(state: StoreState): number {
  let sum = 0;
  for (const job of state.leaving) sum += state.granted.get(job) ?? 0;
  return sum;
}

/** Throws where more is granted than there is, or somebody waits for what is free. */
export function checkStoreInvariants(state: StoreState): void {
  const granted = grantedBytes(state);
  if (granted > state.limitBytes) {
    throw new Error(`Store invariant broken: ${granted} of ${state.limitBytes} bytes are granted.`);
  }
  const [first] = state.waiting.values();
  if (first === undefined) return;
  if (first <= state.limitBytes - granted || state.leaving.size === 0) {
    throw new Error("Store invariant broken: a job waits for room that is free or never comes.");
  }
}
