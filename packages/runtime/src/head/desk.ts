/** What the parts of a head share: the scheduler's state, the peers, and the way to tell the scheduler something. */
import type { HeadEvent, HeadState } from "@fascicle/core";
import type { ToAgent, ToClient } from "@fascicle/transport";
import type { WorkerNames } from "./explain.ts";
import type { HeadJob } from "./jobs.ts";
import type { AgentRecord } from "./status.ts";
import type { Transfers } from "./transfers.ts";

/** An event without its time. */
export type Untimed<E> = E extends HeadEvent ? Omit<E, "nowMs"> : never;

export interface Desk {
  readonly state: HeadState;
  readonly agents: Map<string, AgentRecord>;
  readonly jobs: Map<string, HeadJob>;
  readonly names: WorkerNames;
  readonly transfers: Transfers;
  /** Tells the scheduler, and carries out what it wants. */
  apply(event: Untimed<HeadEvent>): void;
  toAgent(agent: string, message: ToAgent, payload?: Uint8Array): void;
  toClient(job: HeadJob, message: ToClient, payload?: Uint8Array): void;
  /** Tells every driver what works for it now. */
  tellWorkers(): void;
  log(sentence: string): void;
}
