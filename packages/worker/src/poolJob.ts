/** One job of a pool: what its threads report, whom a death is laid to, and what it has come to. */
import { CrashTally, statusOutput } from "@fascicle/core";
import { CarefulRunner } from "./carefulRunner.ts";
import { ChunkBoard, carefulSlot } from "./chunkBoard.ts";
import { deathsBeforeBeginLimit, threadDeathsPerChunk } from "./limits.ts";
import { type BufferOf, ownOrShared } from "./pagedRows.ts";
import { SlotWords } from "./slotWords.ts";
import type { ThreadJob } from "./threadMessages.ts";
import { VoxelWatch } from "./voxelWatch.ts";

export interface PoolJobHandlers {
  /**
   * Chunks are done; `ranges` holds pairs of start and end. A chunk may be reported twice. With `isCareful`, `seconds`
   * went by beside the threads, and some of it in waiting for processes and time-outs; else threads computed for so long.
   */
  onReceipt(ranges: readonly number[], seconds: number, isCareful: boolean): void;
  /** A thread found nothing to draw. */
  onIdle(): void;
  /** The job cannot go on (`chunk` is -1 where it could not begin); nothing more is called. */
  onFailed(chunk: number, reason: string): void;
}

/** Why a thread is gone: by itself, for a voxel that took too long, or for the end of another job. */
export type ThreadEnd = "died" | "timedOut" | "stopped";

export class PoolJob {
  readonly spec: ThreadJob;
  readonly slots: number;
  readonly board: ChunkBoard;
  readonly words: SlotWords;
  readonly #handlers: PoolJobHandlers;
  readonly #careful: CarefulRunner;
  readonly #tally: CrashTally;
  readonly #watch: VoxelWatch | undefined;
  /** By chunk: threads that died of it. */
  readonly #deaths = new Map<number, number>();
  /** Threads that died for it while they held no chunk. */
  #deathsBeforeBegin = 0;
  #anyFitted = false;
  #hasEnded = false;
  #retried = 0;
  #timedOutVoxels = 0;

  /** `onOverdue` is told of threads that have been at a voxel for too long. */
  constructor(
    spec: ThreadJob,
    slots: number,
    sharedSlab: BufferOf,
    handlers: PoolJobHandlers,
    onOverdue: (slot: number) => void,
  ) {
    this.spec = spec;
    this.slots = slots;
    this.board = new ChunkBoard(spec.board);
    this.words = SlotWords.forSlots(slots);
    this.#handlers = handlers;
    this.#tally = new CrashTally(spec.voxelCount, spec.outputs);
    const bufferOf = ownOrShared(spec.slabs, sharedSlab);
    this.#careful = new CarefulRunner(spec, this.board.chunkCount, bufferOf, {
      onVoxel: (isFitted) => {
        this.board.addVoxels(1);
        this.#anyFitted ||= isFitted;
      },
      onDone: (chunk, seconds) => {
        this.board.finish(chunk, carefulSlot);
        handlers.onReceipt([chunk, chunk + 1], seconds, true);
      },
      onGivenUp: (voxel, kind, reason) => this.#givenUp(voxel, kind, reason),
      onFailed: (chunk, reason) => this.fail(chunk, reason),
    });
    if (spec.voxelTimeoutMs !== undefined) {
      this.#watch = new VoxelWatch(this.words, slots, spec.voxelTimeoutMs, onOverdue);
    }
  }

  /** It has failed or is being closed: whatever is still reported does not count. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Chunks begun again because their thread was lost or their kernel threw. */
  get retried(): number {
    return this.#retried;
  }

  get crashedVoxels(): number {
    return this.#tally.crashed;
  }

  get timedOutVoxels(): number {
    return this.#timedOutVoxels;
  }

  /** Threads have done these chunks. */
  receipt(ranges: readonly number[], computeSeconds: number): void {
    if (this.#hasEnded) return;
    this.#anyFitted = true;
    this.#handlers.onReceipt(ranges, computeSeconds, false);
  }

  idle(): void {
    if (!this.#hasEnded) this.#handlers.onIdle();
  }

  /** The kernel threw on a chunk that `slot` holds. */
  threw(chunk: number, slot: number): void {
    if (this.board.transfer(chunk, slot, carefulSlot)) this.#runCarefully(chunk);
  }

  /** Runs a chunk carefully that nobody has, be it ready or not yet on the board; false where somebody has it. */
  runCarefully(chunk: number): boolean {
    if (!this.board.claimCarefully(chunk)) return false;
    this.#careful.add(chunk);
    return true;
  }

  fail(chunk: number, reason: string): void {
    if (this.#hasEnded) return;
    this.end();
    this.#handlers.onFailed(chunk, reason);
  }

  /** From now on it reports nothing, and its threads and processes stop. */
  end(): Promise<void> {
    this.#hasEnded = true;
    this.board.cancel();
    this.#watch?.stop();
    return this.#careful.close();
  }

  /** Whether the thread is at this job: until then it may touch its memory. */
  isBusy(slot: number): boolean {
    return this.words.isBusy(slot);
  }

  /** Whether the thread has a chunk in hand. */
  hasChunk(slot: number): boolean {
    return this.#lastChunks(slot).some((chunk) => this.board.isClaimedBy(chunk, slot));
  }

  /** A thread is gone: what it had done counts, what it had begun is begun again. */
  threadGone(slot: number, end: ThreadEnd): void {
    const chunks = this.#lastChunks(slot);
    const ranges = this.words.unreportedOf(slot);
    const voxels = this.words.voxelsOf(slot);
    this.words.clear(slot);
    if (this.#hasEnded) return;
    // Done, but perhaps not yet noted: their bytes are in place.
    for (const chunk of chunks) if (this.board.isDone(chunk)) ranges.push(chunk, chunk + 1);
    if (ranges.length > 0) this.receipt(ranges, 0);
    const lost = chunks.filter((chunk) => this.board.isClaimedBy(chunk, slot));
    if (lost.length > 0) this.board.addVoxels(-voxels);
    for (const chunk of lost) this.#lost(chunk, slot, end);
    // It may have died while it moved the hint.
    this.board.searchAgain();
  }

  /** A thread died that held no chunk: too many such deaths, and the job is given up. */
  diedBeforeBegin(reason: string): void {
    if (++this.#deathsBeforeBegin < deathsBeforeBeginLimit * this.slots) return;
    this.fail(-1, `its threads die before they begin (${reason})`);
  }

  /** What the thread has in hand, or had last. */
  #lastChunks(slot: number): number[] {
    const { start, end } = this.words.chunksOf(slot);
    return Array.from({ length: end - start }, (_, i) => start + i);
  }

  #lost(chunk: number, slot: number, end: ThreadEnd): void {
    if (end === "died") this.#deaths.set(chunk, (this.#deaths.get(chunk) ?? 0) + 1);
    const deaths = this.#deaths.get(chunk) ?? 0;
    const isBlamed = end === "timedOut" || deaths >= threadDeathsPerChunk;
    if (isBlamed && this.board.transfer(chunk, slot, carefulSlot)) {
      this.#runCarefully(chunk);
    } else if (this.board.giveBack(chunk, slot)) {
      this.#retried++;
    }
  }

  #runCarefully(chunk: number): void {
    this.#retried++;
    this.#careful.add(chunk);
  }

  #givenUp(voxel: number, kind: "crashed" | "timedOut", reason: string): string | undefined {
    if (kind === "crashed") return this.#tally.add(voxel, reason, this.#anyFitted);
    this.#timedOutVoxels++;
    if (statusOutput(this.spec.outputs) >= 0) return undefined;
    return `voxel ${voxel} took longer than ${this.spec.voxelTimeoutMs} ms, and this model has no status to say so`;
  }
}
