import type { HeadEffect } from "./events.ts";
import type { HeadState, JobState } from "./state.ts";

/** One step of the scheduler: what it works on. */
export interface Turn {
  readonly state: HeadState;
  readonly nowMs: number;
  readonly effects: HeadEffect[];
}

export function note(turn: Turn, job: JobState, text: string): void {
  job.story.add(turn.nowMs, text);
}
