/** What hosts, head and drivers of the simulated cluster say: the wire's messages, with digests in the place of bytes. */
import type { FailureClass, HeldJob, JobCounts, Range } from "@fascicle/core";
import type { JobPlan } from "./plan.ts";

export type FromHost =
  | {
      readonly type: "hello";
      readonly agent: string;
      readonly slots: number;
      readonly memoryBytes: number;
      readonly replaces: string | undefined;
      readonly holds: readonly HeldJob[];
    }
  | { readonly type: "workWanted"; readonly job: string; readonly epoch: number }
  | { readonly type: "signalsWanted"; readonly job: string; readonly chunks: Range }
  | {
      readonly type: "result";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly digest: number;
      readonly bytes: number;
    }
  | {
      readonly type: "returned";
      readonly job: string;
      readonly epoch: number;
      readonly ranges: readonly Range[];
      readonly isRecall: boolean;
    }
  | {
      readonly type: "failed";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly failure: FailureClass;
      readonly reason: string;
    }
  | {
      readonly type: "refused";
      readonly job: string;
      readonly epoch: number;
      readonly reason: string;
    }
  | { readonly type: "deferred"; readonly job: string; readonly epoch: number }
  | { readonly type: "draining" }
  | { readonly type: "actorStarted"; readonly actor: string; readonly incarnation: number }
  | {
      readonly type: "actorCrashed";
      readonly actor: string;
      readonly incarnation: number;
      readonly reason: string;
    };

export type ToHost =
  | {
      readonly type: "open";
      readonly plan: JobPlan;
      readonly job: string;
      readonly epoch: number;
      readonly slots: number;
      readonly priority: number;
      /** Bytes of results that may be under way from this host. */
      readonly windowBytes: number;
    }
  | {
      readonly type: "adopt";
      readonly job: string;
      readonly epoch: number;
      readonly slots: number;
      readonly keeps: readonly Range[];
    }
  | {
      readonly type: "lease";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly isCareful: boolean;
    }
  | {
      readonly type: "recall";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
    }
  | { readonly type: "signals"; readonly job: string; readonly chunks: Range }
  | { readonly type: "settled"; readonly job: string; readonly chunks: Range }
  | {
      readonly type: "credit";
      readonly job: string;
      readonly epoch: number;
      readonly creditBytes: number;
    }
  | { readonly type: "close"; readonly job: string }
  | { readonly type: "dropObject"; readonly object: string }
  | { readonly type: "startActor"; readonly actor: string; readonly incarnation: number }
  | { readonly type: "stopActor"; readonly actor: string; readonly incarnation: number };

export type FromDriver =
  | { readonly type: "submit"; readonly plan: JobPlan; readonly settled: readonly Range[] }
  | { readonly type: "attach"; readonly job: string; readonly settled: readonly Range[] }
  | {
      readonly type: "signals";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  | {
      readonly type: "stored";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly storedBytes: number;
    }
  | { readonly type: "cancel"; readonly job: string; readonly reason: string }
  | { readonly type: "putObject"; readonly object: string }
  | { readonly type: "releaseObject"; readonly object: string }
  | { readonly type: "requestActor"; readonly actor: string; readonly restarts: number }
  | { readonly type: "releaseActor"; readonly actor: string };

export type ToDriver =
  | {
      readonly type: "result";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly digest: number;
      readonly bytes: number;
    }
  | {
      readonly type: "signalsWanted";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  | { readonly type: "unknown"; readonly job: string }
  | { readonly type: "complete"; readonly job: string; readonly counts: JobCounts }
  | { readonly type: "jobFailed"; readonly job: string; readonly reason: string }
  | { readonly type: "actorDied"; readonly actor: string; readonly reason: string };

/** What a message may be about. */
export type Named = Readonly<Partial<Record<"job" | "object" | "actor", string>>>;
