/**
 * The pages of a fit in this process. Where signals and results are in memory as a whole, there is nothing to do:
 * all chunks are ready at once, and in place as soon as they are fitted.
 */
import { type Range, RangeSet, voxelsOfChunks } from "@fascicle/core";
import { ObjectMemoryError } from "@fascicle/object-store";
import {
  byPage,
  type ChunkBoard,
  PagedFit,
  PagedOutputs,
  PageHost,
  type PageTable,
  pagedOutputs,
  type ThreadPool,
} from "@fascicle/worker";
import type { EngineTask } from "./engine.ts";
import { fitShape, pagedParts } from "./pagedModel.ts";

export interface LocalPagesHooks {
  ready(chunks: Range): void;
  /** Their rows are where they belong. */
  inPlace(chunks: Range): void;
  failed(error: Error): void;
}

export interface LocalPages {
  readonly tables: {
    readonly signals: PageTable | undefined;
    readonly outputs: PageTable | undefined;
  };
  want(chunks: RangeSet): void;
  fitted(chunks: Range): void;
  /** Gives everything back; what is not in place by then will not be. */
  close(isWhole: boolean): Promise<void>;
}

export const LocalPages = {
  /** Throws `ObjectMemoryError` where not even one chunk fits. */
  of(
    task: EngineTask,
    job: string,
    pool: ThreadPool,
    board: ChunkBoard,
    hooks: LocalPagesHooks,
  ): LocalPages {
    const { signals, outputs } = pagedParts(task.model, task.results);
    return signals || outputs ? new SomePages(task, job, pool, board, hooks) : allHere(hooks);
  },
};

function allHere({ ready, inPlace }: LocalPagesHooks): LocalPages {
  return {
    tables: { signals: undefined, outputs: undefined },
    want: (chunks) => chunks.ranges().forEach(ready),
    fitted: inPlace,
    close: async () => {},
  };
}

class SomePages implements LocalPages {
  readonly tables: LocalPages["tables"];
  readonly #task: EngineTask;
  readonly #board: ChunkBoard;
  readonly #hooks: LocalPagesHooks;
  readonly #fit: PagedFit;
  readonly #outputs: PagedOutputs | undefined;
  /** Chunks that were fitted once: after a thread's death some are reported twice. */
  readonly #fitted = new RangeSet();
  /** Fitted, and not yet on disk. */
  readonly #unstored = new RangeSet();
  #storing: Promise<void> | undefined;
  #isClosed = false;

  constructor(
    task: EngineTask,
    job: string,
    pool: ThreadPool,
    board: ChunkBoard,
    hooks: LocalPagesHooks,
  ) {
    const { model, results, chunkCount, pageMemory } = task;
    this.#task = task;
    this.#board = board;
    this.#hooks = hooks;
    const shape = fitShape(model, chunkCount);
    const host = new PageHost({ slabs: pageMemory, pool, log: () => {} });
    this.#fit = new PagedFit(job, shape, pagedParts(model, results), host, {
      load: (start, end, into) => model.signals.source!.read(start, end, into),
      ready: hooks.ready,
      failed: hooks.failed,
    });
    const { layout, tables, largestPortionBytes } = this.#fit;
    if (largestPortionBytes > pageMemory.limitBytes) {
      throw ObjectMemoryError.ofChunk(largestPortionBytes, pageMemory.limitBytes, shape);
    }
    const tableOf = (pages: typeof layout.signals, table: SharedArrayBuffer | undefined) =>
      pages && { pageVoxels: pages.pageVoxels, table: table! };
    const outputs = tableOf(layout.outputs, tables.outputs);
    this.tables = { signals: tableOf(layout.signals, tables.signals), outputs };
    if (outputs === undefined) return;
    const { pageVoxels, table } = outputs;
    const { voxelCount } = model.signals;
    const fields = pagedOutputs(model.outputs, pageVoxels, table);
    const bufferOf = (slab: number) => pool.bufferOf(slab);
    this.#outputs = new PagedOutputs(fields, pageVoxels, voxelCount, bufferOf);
  }

  want(chunks: RangeSet): void {
    for (const range of chunks.ranges()) this.#fit.want(range);
  }

  fitted(chunks: Range): void {
    this.#fit.fitted(chunks);
    const fresh = this.#fitted.gaps(chunks);
    this.#fitted.add(chunks);
    for (const range of fresh) {
      if (this.#outputs === undefined) this.#isInPlace(range);
      else this.#unstored.add(range);
    }
    if (this.#outputs === undefined) return;
    this.#storing ??= this.#store()
      .catch((error: Error) => this.#hooks.failed(error))
      .finally(() => {
        this.#storing = undefined;
      });
  }

  async close(isWhole: boolean): Promise<void> {
    this.#isClosed = true;
    try {
      // A writing that waits for room on disk is not waited for.
      if (!isWhole) await this.#task.results.release();
    } finally {
      await this.#storing;
      await this.#fit.close();
    }
  }

  /** Writes what is fitted, run after run: what comes meanwhile makes longer ones. */
  async #store(): Promise<void> {
    const { model, chunkCount, results } = this.#task;
    const outputs = this.#outputs!;
    while (!this.#isClosed) {
      const chunks = this.#unstored.takeFirst(chunkCount);
      if (chunks === undefined) return;
      const { start, end } = voxelsOfChunks(model.signals.voxelCount, chunkCount, chunks);
      let voxel = start;
      for (const { page, row, count } of byPage(outputs.pageVoxels, start, end)) {
        const rows = outputs.rowsOf(page, row, row + count);
        await results.store({ start: voxel, end: voxel + count }, rows);
        if (this.#isClosed) return;
        voxel += count;
      }
      this.#isInPlace(chunks);
    }
  }

  #isInPlace(chunks: Range): void {
    this.#fit.forget(chunks, this.#board.begun(chunks.start, chunks.end));
    this.#hooks.inPlace(chunks);
  }
}
