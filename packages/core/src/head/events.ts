/** What the head's scheduler is told (events, past tense) and what it asks for (effects, imperative). */
import type { Range } from "../chunks.ts";

/** A fit as the scheduler sees it: one entry, however many chunks. */
export interface MapRequest {
  readonly job: string;
  readonly chunkCount: number;
  /** The most slots it may use at once; undefined is all there are. */
  readonly slotLimit: number | undefined;
}

export type HeadEvent =
  | { readonly type: "AgentJoined"; readonly agent: string; readonly slots: number }
  | { readonly type: "AgentLeft"; readonly agent: string }
  /** The agent takes no new work; it finishes or hands back what it has. */
  | { readonly type: "AgentDraining"; readonly agent: string }
  | { readonly type: "JobSubmitted"; readonly request: MapRequest }
  /** The driver wants no more of it, or is gone. */
  | { readonly type: "JobCancelled"; readonly job: string; readonly reason: string }
  /** The agent's threads will soon have nothing left of this job. */
  | { readonly type: "WorkWanted"; readonly agent: string; readonly job: string }
  | {
      readonly type: "RangeSettled";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  /** The agent hands back chunks that it has not fitted. */
  | {
      readonly type: "RangeReturned";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  /** The agent tried these chunks and its executor died each time, or threw. */
  | {
      readonly type: "RangeFailed";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
      readonly reason: string;
    }
  /** The agent has no room for this job while it has others. */
  | { readonly type: "JobDeferred"; readonly agent: string; readonly job: string }
  /** The agent cannot run this job at all (another kernel, too little memory). */
  | {
      readonly type: "JobRefused";
      readonly agent: string;
      readonly job: string;
      readonly reason: string;
    };

export type HeadEffect =
  | {
      readonly type: "OpenJob";
      readonly agent: string;
      readonly job: string;
      readonly slots: number;
    }
  | { readonly type: "Lease"; readonly agent: string; readonly job: string; readonly chunks: Range }
  | { readonly type: "CloseJob"; readonly agent: string; readonly job: string }
  /** The agent may forget these results: the driver has them. */
  | {
      readonly type: "ConfirmSettled";
      readonly agent: string;
      readonly job: string;
      readonly chunks: Range;
    }
  /** All is settled; `lost` counts the leases that were lost with their host or handed back. */
  | { readonly type: "CompleteJob"; readonly job: string; readonly lost: number }
  | { readonly type: "FailJob"; readonly job: string; readonly reason: string };
