/** What the serial engine works on: all of it in memory, or one page of signals and one of results at a time. */
import { type Range, RangeSet } from "@fascicle/core";
import type { Slab } from "@fascicle/object-store";
import {
  emptyTable,
  fitLayout,
  PagedOutputs,
  PagedSignals,
  type PageLayout,
  type PageTable,
} from "@fascicle/worker";
import type { EngineTask } from "./engine.ts";
import { fitShape, pagedModel, pagedParts } from "./pagedModel.ts";

/** A matrix of which one page is in memory. */
interface OnePage {
  readonly layout: PageLayout;
  readonly table: PageTable;
  readonly slab: Slab;
  page: number;
}

export class SerialPages {
  readonly signals: PagedSignals;
  readonly outputs: PagedOutputs;
  readonly #task: EngineTask;
  readonly #signalPage: OnePage | undefined;
  readonly #outputPage: OnePage | undefined;
  /** Voxels whose rows are in the page and not yet where they belong. */
  readonly #unstored = new RangeSet();
  /** Chunks all of whose rows are in place when those of the page are. */
  readonly #finished = new RangeSet();

  constructor(task: EngineTask) {
    const { model, results, chunkCount, pageMemory } = task;
    this.#task = task;
    const layout = fitLayout(fitShape(model, chunkCount), pagedParts(model, results));
    const onePage = (pages: PageLayout | undefined): OnePage | undefined => {
      if (pages === undefined) return undefined;
      const table = { pageVoxels: pages.pageVoxels, table: emptyTable(pages.pages) };
      return { layout: pages, table, slab: pageMemory.take(pages.pageBytes), page: -1 };
    };
    this.#signalPage = onePage(layout.signals);
    this.#outputPage = onePage(layout.outputs);
    const paged = { signals: this.#signalPage?.table, outputs: this.#outputPage?.table };
    const { signals, outputs, outputPageVoxels, slabs } = pagedModel(model, results, paged);
    const bufferOf = (name: number) => {
      if (name < 0) return slabs[-1 - name];
      return (name === this.#signalPage?.slab.id ? this.#signalPage : this.#outputPage)!.slab
        .buffer;
    };
    const { voxelCount } = model.signals;
    this.signals = new PagedSignals(signals, voxelCount, bufferOf);
    this.outputs = new PagedOutputs(outputs, outputPageVoxels, voxelCount, bufferOf);
  }

  /** Sees to it that the pages of a voxel are in memory. */
  async turnTo(voxel: number): Promise<void> {
    const signals = this.#signalPage;
    if (signals !== undefined && turned(signals, voxel)) {
      const { voxelCount, source } = this.#task.model.signals;
      const { pageVoxels } = signals.layout;
      const start = signals.page * pageVoxels;
      const end = Math.min(voxelCount, start + pageVoxels);
      const { buffer, byteLength } = this.signals.page(signals.page);
      await source!.read(start, end, new Uint8Array(buffer, 0, byteLength));
    }
    const outputs = this.#outputPage;
    if (outputs === undefined || Math.floor(voxel / outputs.layout.pageVoxels) === outputs.page) {
      return;
    }
    await this.flush();
    turned(outputs, voxel);
  }

  /** The rows of these voxels are final. */
  fitted(start: number, end: number): void {
    if (this.#outputPage !== undefined) this.#unstored.add({ start, end });
  }

  chunksDone(chunks: Range): void {
    if (this.#outputPage === undefined) this.#task.onSettled(chunks);
    else this.#finished.add(chunks);
  }

  /** Brings what is in the page of results to where it belongs. */
  async flush(): Promise<void> {
    const { results, model, onSettled } = this.#task;
    const outputs = this.#outputPage;
    if (outputs === undefined) return;
    const first = outputs.page * outputs.layout.pageVoxels;
    for (const voxels of this.#unstored.ranges()) {
      const { start, end } = voxels;
      await results.store(voxels, this.outputs.rowsOf(outputs.page, start - first, end - first));
    }
    this.#unstored.remove({ start: 0, end: model.signals.voxelCount });
    for (const chunks of [...this.#finished.ranges()]) {
      this.#finished.remove(chunks);
      onSettled(chunks);
    }
  }

  close(): void {
    for (const page of [this.#signalPage, this.#outputPage]) {
      if (page !== undefined) this.#task.pageMemory.giveBack(page.slab);
    }
  }
}

/** Puts the voxel's page into the one that there is; false where it is that already. */
function turned(one: OnePage, voxel: number): boolean {
  const page = Math.floor(voxel / one.layout.pageVoxels);
  if (page === one.page) return false;
  one.page = page;
  Atomics.store(new Int32Array(one.table.table), page, one.slab.id);
  return true;
}
