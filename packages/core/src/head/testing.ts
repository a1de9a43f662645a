/** Steps of the scheduler for tests: invariants are checked after each. */
import type { HeadEffect, HeadEvent, MapRequest } from "./events.ts";
import { checkHeadInvariants } from "./invariants.ts";
import type { HeadState } from "./state.ts";
import { stepHead } from "./step.ts";

export const job = (chunkCount: number, slotLimit?: number): MapRequest => ({
  job: "j",
  chunkCount,
  slotLimit,
});

export type Untimed<E> = E extends HeadEvent
  ? Omit<E, "nowMs" | "epoch"> & { epoch?: number }
  : never;

/** Steps at a time, by default 0, with the epoch of the present opening. */
export function step(state: HeadState, event: Untimed<HeadEvent>, nowMs = 0): HeadEffect[] {
  const effects: HeadEffect[] = [];
  const { job, agent, epoch } = event as { job?: string; agent?: string; epoch?: number };
  const present = state.jobs.get(job ?? "")?.assignments.get(agent ?? "")?.epoch ?? 0;
  stepHead(state, { epoch: epoch ?? present, ...event, nowMs } as HeadEvent, effects);
  checkHeadInvariants(state);
  return effects;
}

export const typesOf = (effects: readonly HeadEffect[]) =>
  effects.map((effect) => effect.type).filter((type) => type !== "RecordSettled");
