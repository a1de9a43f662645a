import type { AgentEffect, HeadEffect } from "@fascicle/core";
import type { Clock } from "./clock.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Referee } from "./referee.ts";
import type { Scenario } from "./scenario.ts";
import type { SessionCounts } from "./session.ts";
import type { Trace } from "./trace.ts";

/** How often the machines' own invariants are checked, in steps of one machine; 0 is never. */
export interface CheckRates {
  /** Cheap ones: one host, one session. */
  readonly local: number;
  /** All that the head knows. */
  readonly whole: number;
}

/** What all processes of a run share. */
export interface World {
  readonly scenario: Scenario;
  readonly clock: Clock;
  readonly network: Network;
  readonly trace: Trace;
  readonly referee: Referee;
  readonly checks: CheckRates;
  readonly sessions: SessionCounts;
  /** Machine steps so far. */
  readonly steps: { head: number; agents: number; stores: number; detectors: number };
  /** Spoils effects on their way from a machine to its driver; undefined drops them. Not set but in tests of the checks. */
  readonly tamper:
    | (<Effect extends HeadEffect | AgentEffect>(effect: Effect) => Effect | undefined)
    | undefined;
  random(purpose: string): Random;
}
