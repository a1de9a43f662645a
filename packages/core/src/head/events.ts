/** What the head's scheduler is told (events, past tense) and what it asks for (effects, imperative). */
import type { Range } from "../chunks.ts";

/** A fit (or a task, or a call of an actor: maps with one chunk) as the scheduler sees it: one entry, however many chunks. */
export interface MapRequest {
  readonly job: string;
  readonly chunkCount: number;
  /** The most slots it may use at once; undefined is all there are. */
  readonly slotLimit?: number | undefined;
  /** Higher goes first; jobs of one priority share. Default 0. */
  readonly priority?: number | undefined;
  /** Chunks that were settled before (a fit that is continued). */
  readonly settled?: readonly Range[] | undefined;
  /** Milliseconds in which it is not given up where all hosts refuse it: others are on their way. Default 0. */
  readonly patienceMs?: number | undefined;
  /** Object memory that it takes on a host; a host with less can never run it. */
  readonly memoryBytes?: number | undefined;
  /** Objects that must exist before it may begin. */
  readonly needs?: readonly string[] | undefined;
  /** The object that it makes: it stays on the host that made it. Such a job has one chunk. */
  readonly makes?: string | undefined;
  /** A call of this actor: it has one chunk, runs where the actor lives, and waits for the calls before it. */
  readonly actor?: string | undefined;
  /** How often a call whose actor died under it may be made again. Default 0: at most once. */
  readonly retries?: number | undefined;
}

/** Why chunks could not be fitted. What only this host cannot do is tried elsewhere; what the job itself causes is not. */
export type FailureClass =
  /** Threads of this host cannot begin. */
  | "executor"
  /** Memory ran out beside other work. */
  | "outOfMemory"
  /** The kernel fails whatever is tried. */
  | "application";

/** What a host still holds of a job when it comes (back) to a head. */
export interface HeldJob {
  readonly job: string;
  readonly ranges: readonly Range[];
}

type Event =
  | {
      readonly type: "AgentJoined";
      readonly agent: string;
      readonly slots: number;
      /** Object memory that a job may take there; undefined is not known. */
      readonly memoryBytes?: number | undefined;
      /** Its earlier self, if the head may not know yet that this is gone. */
      readonly replaces?: string | undefined;
      readonly holds?: readonly HeldJob[] | undefined;
    }
  /** Its connection broke; it may come back. */
  | { readonly type: "AgentAway"; readonly agent: string }
  | { readonly type: "AgentBack"; readonly agent: string }
  /** It is gone for good: `isDeath` where it had not said goodbye. */
  | { readonly type: "AgentLeft"; readonly agent: string; readonly isDeath: boolean }
  /** The agent takes no new work; it finishes or hands back what it has. */
  | { readonly type: "AgentDraining"; readonly agent: string }
  | { readonly type: "JobSubmitted"; readonly request: MapRequest }
  | { readonly type: "JobCancelled"; readonly job: string; readonly reason: string }
  /** The driver cannot be reached; it may come back. */
  | { readonly type: "DriverAway"; readonly job: string }
  /** It is back and has these chunks. */
  | { readonly type: "DriverBack"; readonly job: string; readonly settled: readonly Range[] }
  /** The agent's threads will soon have nothing left of this job. */
  | {
      readonly type: "WorkWanted";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
    }
  /** The driver has these bytes, and they match their checksum, whoever made them. */
  | {
      readonly type: "RangeSettled";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  /** The agent hands back chunks that it has not begun; `isRecall` answers a `Recall`, perhaps with nothing. */
  | {
      readonly type: "RangesReturned";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly ranges: readonly Range[];
      readonly isRecall: boolean;
    }
  | {
      readonly type: "RangeFailed";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly failure: FailureClass;
      readonly reason: string;
    }
  /** The agent has no room for this job while it has others. */
  | {
      readonly type: "JobDeferred";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
    }
  /** The agent cannot run this job at all (another kernel, too little memory). */
  | {
      readonly type: "JobRefused";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly reason: string;
    }
  /** Somebody put an object; `holder` is an agent, or undefined for one that its driver keeps. */
  | { readonly type: "ObjectPut"; readonly object: string; readonly holder: string | undefined }
  /** Nobody refers to it any more. */
  | { readonly type: "ObjectReleased"; readonly object: string }
  | {
      readonly type: "ActorRequested";
      readonly actor: string;
      /** How often it may be started again after its host died. */
      readonly restarts: number;
    }
  | {
      readonly type: "ActorStarted";
      readonly agent: string;
      readonly actor: string;
      readonly incarnation: number;
    }
  | {
      readonly type: "ActorCrashed";
      readonly agent: string;
      readonly actor: string;
      readonly incarnation: number;
      readonly reason: string;
    }
  /** Its owner wants no more of it. */
  | { readonly type: "ActorReleased"; readonly actor: string; readonly reason: string }
  /** Time has passed; about four times a second. */
  | { readonly type: "Tick" };

/** Events carry the time: milliseconds of a clock that never goes back. */
export type HeadEvent = Event & { readonly nowMs: number };

export type HeadEffect =
  /** `epoch` names this opening of the job on this host; words about an earlier one are stale. */
  | {
      readonly type: "OpenJob";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly slots: number;
      readonly priority: number;
    }
  /** The agent has the job open already: it keeps these ranges and forgets all others. */
  | {
      readonly type: "AdoptJob";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly slots: number;
      readonly keeps: readonly Range[];
    }
  | {
      readonly type: "Lease";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      /** These were lost with several hosts: run them where they can hurt nothing. */
      readonly isCareful: boolean;
    }
  /** Others are idle: hand back what of these is not begun. */
  | {
      readonly type: "Recall";
      readonly agent: string;
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
    }
  | { readonly type: "CloseJob"; readonly agent: string; readonly job: string }
  /** The agent may forget these chunks: the driver has them. */
  | {
      readonly type: "ConfirmSettled";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  /** Goes into the journal: these were not settled before. */
  | { readonly type: "RecordSettled"; readonly job: string; readonly chunks: Range }
  | { readonly type: "CompleteJob"; readonly job: string; readonly counts: JobCounts }
  | {
      readonly type: "FailJob";
      readonly job: string;
      readonly reason: string;
      /** The kernel is at fault, and would be again; not the hosts. */
      readonly isOfKernel?: boolean | undefined;
    }
  | { readonly type: "DropObject"; readonly agent: string; readonly object: string }
  | {
      readonly type: "StartActor";
      readonly agent: string;
      readonly actor: string;
      readonly incarnation: number;
    }
  | {
      readonly type: "StopActor";
      readonly agent: string;
      readonly actor: string;
      readonly incarnation: number;
    }
  | { readonly type: "ActorDied"; readonly actor: string; readonly reason: string };

/** What happened to a job's leases. */
export interface JobCounts {
  /** Leases lost with their host or handed back. */
  lost: number;
  /** Tails of running leases given to an idle host. */
  stolen: number;
  /** Copies of slow chunks given to a second host. */
  backups: number;
}
