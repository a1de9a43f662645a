/** What the machine of transfers is told (events, past tense) and what it asks for (effects, imperative). */

/** A block of a fit's signals. */
export interface BlockName {
  readonly job: string;
  readonly block: number;
}

export type TransferEvent =
  | {
      readonly type: "AgentJoined";
      readonly agent: string;
      /** Whether others can ask it for what it has. */
      readonly isReachable: boolean;
      /** Where it has one, only agents with the same can reach it. */
      readonly island?: string;
    }
  | { readonly type: "AgentLeft"; readonly agent: string }
  /** It lacks a block, and waits for it. */
  | { readonly type: "Wanted"; readonly agent: string; readonly object: BlockName }
  /** It has a block whole, wherever that came from. */
  | { readonly type: "Arrived"; readonly agent: string; readonly object: BlockName }
  /** It did not get the rest of a block from `source`. */
  | {
      readonly type: "Failed";
      readonly agent: string;
      readonly object: BlockName;
      readonly source: string;
      /** The source answered, and said that it has no such block. */
      readonly isAbsent: boolean;
    }
  /** It has a block no more, or wants it no more. */
  | { readonly type: "Dropped"; readonly agent: string; readonly object: BlockName }
  /** It has no part in a fit any more: it wants none of its blocks, and has none. */
  | { readonly type: "PartEnded"; readonly agent: string; readonly job: string }
  | { readonly type: "ObjectsGone"; readonly job: string };

export type TransferEffect =
  /** By way of the head. */
  | { readonly type: "SendFromDriver"; readonly object: BlockName; readonly to: string }
  /** `to` asks `from` for it, and says `Arrived` or `Failed`. */
  | {
      readonly type: "SendFromHost";
      readonly object: BlockName;
      readonly from: string;
      readonly to: string;
    }
  /** `from` will send no more: `to` need not find out by itself. It says `Failed`, or `Arrived` if it has all. */
  | {
      readonly type: "AbandonSource";
      readonly object: BlockName;
      readonly from: string;
      readonly to: string;
    };
