/** Fits batches in this thread, and goes on where the kernel throws: a voxel that it throws on is given up. */
import {
  type ChunkedModel,
  CrashTally,
  giveUpVoxel,
  type KernelModule,
  type OutputView,
  type VoxelKernel,
  VoxelStatus,
} from "@fascicle/core";
import { FitError, sentence } from "../errors.ts";
import { kernelModuleUrl } from "./kernelModules.ts";

/** Rows of signals, and where their answers go. */
export interface FittedBatch {
  readonly signals: Float32Array | Float64Array;
  /** Row of the first voxel in `signals`. */
  readonly row: number;
  readonly count: number;
  /** Outputs in the order of the model's. */
  readonly outputs: readonly OutputView[];
  /** Row of the first voxel in `outputs`. */
  readonly outputRow: number;
  /** Number of the first voxel in the fit. */
  readonly voxel: number;
}

export class BatchFitter {
  readonly #model: ChunkedModel;
  readonly #kernel: VoxelKernel;
  readonly #tally: CrashTally;
  #anyFitted = false;

  constructor(model: ChunkedModel, kernel: VoxelKernel) {
    this.#model = model;
    this.#kernel = kernel;
    this.#tally = new CrashTally(model.signals.voxelCount, model.outputs);
  }

  /** Makes the model's kernel here. */
  static async make(model: ChunkedModel): Promise<BatchFitter> {
    const module = (await import(kernelModuleUrl(model.kernel.module))) as KernelModule;
    return new BatchFitter(model, module.createKernel(model.kernel.name, model.kernel.parameters));
  }

  /** Fits a batch. Throws `FitError` where too many voxels crash. */
  fit(batch: FittedBatch): void {
    const { signals, row, count, outputs, outputRow } = batch;
    try {
      this.#kernel.fit(signals, row, count, outputs, outputRow);
      this.#anyFitted = true;
    } catch {
      for (let i = 0; i < count; i++) this.#fitAlone(batch, i);
    }
  }

  #fitAlone({ signals, row, outputs, outputRow, voxel }: FittedBatch, i: number): void {
    try {
      this.#kernel.fit(signals, row + i, 1, outputs, outputRow + i);
      this.#anyFitted = true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const reasonToStop = this.#tally.add(voxel + i, reason, this.#anyFitted);
      if (reasonToStop !== undefined) {
        throw new FitError(`The ${this.#model.name} fit failed: ${sentence(reasonToStop)}`);
      }
      giveUpVoxel(this.#model.outputs, outputs, outputRow + i, VoxelStatus.crashed);
    }
  }
}
