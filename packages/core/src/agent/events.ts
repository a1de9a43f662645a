/** The host's half of the scheduler: what it is told (events) and what it asks for (effects). */
import type { Range } from "../chunks.ts";
import type { FailureClass } from "../head/events.ts";

/** Why chunks are taken off the board. */
export type WithdrawPurpose =
  /** The head wants them for an idle host, and an answer. */
  | "recall"
  /** This host takes no new work. */
  | "drain"
  /** Somebody else has settled them. */
  | "drop";

export type AgentEvent =
  /** The head opened a job here, and there is room for it. */
  | {
      readonly type: "JobOpened";
      readonly job: string;
      readonly epoch: number;
      readonly slots: number;
      /** Chunks whose results make about one frame on the wire. */
      readonly chunksPerRun: number;
      /** Bytes of results that may be under way to the driver. */
      readonly windowBytes: number;
    }
  /** A head took this host in with a job that it has open: these ranges stay, all else is forgotten. */
  | {
      readonly type: "JobAdopted";
      readonly job: string;
      readonly epoch: number;
      readonly keeps: readonly Range[];
    }
  | {
      readonly type: "Leased";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly isCareful: boolean;
    }
  | {
      readonly type: "Recalled";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
    }
  /** The signals of these chunks are all here. */
  | { readonly type: "SignalsHere"; readonly job: string; readonly chunks: Range }
  /** Threads finished these; `busySlots` of the job have something to do. */
  | {
      readonly type: "ChunksFitted";
      readonly job: string;
      readonly ranges: readonly Range[];
      readonly busySlots: number;
      /** How many chunks that no thread has begun keep the threads busy while more is fetched; undefined where that is not known anew. */
      readonly chunksAhead?: number | undefined;
    }
  /** The answer to `Withdraw`: these were not begun and are off the board. */
  | {
      readonly type: "Withdrawn";
      readonly job: string;
      readonly ranges: readonly Range[];
      readonly purpose: WithdrawPurpose;
    }
  /** Results have waited long enough for neighbours to travel with. */
  | { readonly type: "SendDue"; readonly job: string }
  /** A run is on its way, or was given up because the head is lost. */
  | {
      readonly type: "RunSent";
      readonly job: string;
      readonly epoch: number;
      readonly bytes: number;
    }
  /** The driver took this much of the results. */
  | {
      readonly type: "Credited";
      readonly job: string;
      readonly epoch: number;
      readonly bytes: number;
    }
  /** The driver has these chunks, from here or from another host. */
  | { readonly type: "Settled"; readonly job: string; readonly chunks: Range }
  | {
      readonly type: "ExecutionFailed";
      readonly job: string;
      readonly chunks: Range;
      readonly failure: FailureClass;
      readonly reason: string;
    }
  | { readonly type: "JobClosed"; readonly job: string }
  /** The session with the head is over; threads go on with what they have. */
  | { readonly type: "HeadLost" }
  | { readonly type: "Draining" };

export type AgentEffect =
  /** See to it that the signals of these chunks come; `SignalsHere` says when. */
  | { readonly type: "FetchSignals"; readonly job: string; readonly chunks: Range }
  | { readonly type: "MakeReady"; readonly job: string; readonly chunks: Range }
  /** Run them alone, where they can hurt nothing. */
  | { readonly type: "RunCarefully"; readonly job: string; readonly chunks: Range }
  /** Take these off the board as far as no thread has begun them; `Withdrawn` answers at once. */
  | {
      readonly type: "Withdraw";
      readonly job: string;
      readonly chunks: Range;
      readonly purpose: WithdrawPurpose;
    }
  | { readonly type: "AskForWork"; readonly job: string; readonly epoch: number }
  | {
      readonly type: "ReturnRanges";
      readonly job: string;
      readonly epoch: number;
      readonly ranges: readonly Range[];
      readonly isRecall: boolean;
    }
  /** Let results wait for neighbours for a moment; `SendDue` when it is over. */
  | { readonly type: "Gather"; readonly job: string }
  /** Send the results of these; `RunSent` when that is done. */
  | {
      readonly type: "SendRun";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
    }
  | {
      readonly type: "ReportFailure";
      readonly job: string;
      readonly epoch: number;
      readonly chunks: Range;
      readonly failure: FailureClass;
      readonly reason: string;
    }
  /** These are held no more, whatever they had come to; a thread may still be at them, in vain. */
  | { readonly type: "ForgetChunks"; readonly job: string; readonly chunks: Range }
  /** The head takes this job for open here, and it is not: say that there was no room. */
  | { readonly type: "DeferJob"; readonly job: string; readonly epoch: number }
  /** Its threads stop, its memory is given back. */
  | { readonly type: "ReleaseJob"; readonly job: string };
