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
import { outputView, signalView, type VoxelBatch } from "@fascicle/object-store";
import { FitError, sentence } from "../errors.ts";
import { kernelModuleUrl } from "./kernelModules.ts";

export class BatchFitter {
  readonly #model: ChunkedModel;
  readonly #kernel: VoxelKernel;
  readonly #slabs: readonly (Float32Array | Float64Array)[];
  readonly #views: readonly OutputView[];
  readonly #tally: CrashTally;
  #anyFitted = false;

  constructor(model: ChunkedModel, kernel: VoxelKernel, outputs: readonly SharedArrayBuffer[]) {
    const { signals } = model;
    this.#model = model;
    this.#kernel = kernel;
    this.#slabs = signals.slabs.map((slab) => signalView(signals.dtype, slab));
    this.#views = model.outputs.map(({ dtype }, i) => outputView(dtype, outputs[i]));
    this.#tally = new CrashTally(signals.voxelCount, model.outputs);
  }

  /** Makes the model's kernel here. `outputs` are whole. */
  static async make(model: ChunkedModel, outputs: readonly SharedArrayBuffer[]) {
    const module = (await import(kernelModuleUrl(model.kernel.module))) as KernelModule;
    const kernel = module.createKernel(model.kernel.name, model.kernel.parameters);
    return new BatchFitter(model, kernel, outputs);
  }

  /** Fits a batch into the rows from `voxel` on. Throws `FitError` where too many voxels crash. */
  fit({ slab, first, count }: VoxelBatch, voxel: number): void {
    try {
      this.#kernel.fit(this.#slabs[slab], first, count, this.#views, voxel);
      this.#anyFitted = true;
    } catch {
      for (let i = 0; i < count; i++) this.#fitAlone(slab, first + i, voxel + i);
    }
  }

  #fitAlone(slab: number, row: number, voxel: number): void {
    try {
      this.#kernel.fit(this.#slabs[slab], row, 1, this.#views, voxel);
      this.#anyFitted = true;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const reasonToStop = this.#tally.add(voxel, reason, this.#anyFitted);
      if (reasonToStop !== undefined) {
        throw new FitError(`The ${this.#model.name} fit failed: ${sentence(reasonToStop)}`);
      }
      giveUpVoxel(this.#model.outputs, this.#views, voxel, VoxelStatus.crashed);
    }
  }
}
