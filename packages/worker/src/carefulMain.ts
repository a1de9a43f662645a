/**
 * The body of a careful process: fits one voxel after the other and says so after each, so that whatever the kernel
 * does to the process, it is known at which voxel.
 */
import { Worker } from "node:worker_threads";
import type { KernelModule, OutputView, VoxelKernel } from "@fascicle/core";
import { bytesPerValue, outputRowBytes, outputView, signalView } from "@fascicle/object-store";
import type { CarefulSpec, FromCareful, ToCareful } from "./carefulMessages.ts";
import { reasonOf } from "./threadMessages.ts";

class CarefulKernel {
  readonly #spec: CarefulSpec;
  readonly #kernel: VoxelKernel;
  readonly #row: readonly SharedArrayBuffer[];
  readonly #views: readonly OutputView[];

  constructor(spec: CarefulSpec, kernel: VoxelKernel) {
    this.#spec = spec;
    this.#kernel = kernel;
    this.#row = spec.outputs.map((field) => new SharedArrayBuffer(outputRowBytes(field)));
    this.#views = spec.outputs.map(({ dtype }, i) => outputView(dtype, this.#row[i]));
  }

  static async make(spec: CarefulSpec): Promise<CarefulKernel> {
    const module = (await import(spec.moduleUrl)) as KernelModule;
    return new CarefulKernel(spec, module.createKernel(spec.kernelName, spec.parameters));
  }

  /** Fits a batch, up to the first voxel on which the kernel throws. */
  async fit(signals: Uint8Array): Promise<void> {
    const { width, dtype } = this.#spec;
    const slab = new SharedArrayBuffer(signals.length);
    new Uint8Array(slab).set(signals);
    const view = signalView(dtype, slab);
    const voxels = signals.length / (width * bytesPerValue[dtype]);
    for (let voxel = 0; voxel < voxels; voxel++) {
      const answer = this.#fitVoxel(view, voxel);
      await say(answer);
      if (answer.type === "threw") return;
    }
  }

  #fitVoxel(signals: Float32Array | Float64Array, voxel: number): FromCareful {
    try {
      this.#kernel.fit(signals, voxel, 1, this.#views, 0);
    } catch (error) {
      return { type: "threw", reason: reasonOf(error) };
    }
    return { type: "fitted", values: Buffer.concat(this.#row.map((part) => new Uint8Array(part))) };
  }
}

/** Resolves when the message has left this process: what the kernel does next cannot lose it. */
function say(message: FromCareful): Promise<void> {
  return new Promise((resolve) => process.send!(message, undefined, undefined, () => resolve()));
}

// Ctrl-C reaches every process of the terminal; when this one ends is its parent's business.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
new Worker(new URL("./carefulLifeline.js", import.meta.url));
let kernel: CarefulKernel | undefined;
process.on("message", async (message: ToCareful) => {
  if (message.type === "fit") return await kernel?.fit(message.signals);
  try {
    kernel = await CarefulKernel.make(message.spec);
    await say({ type: "opened" });
  } catch (error) {
    await say({ type: "failed", reason: reasonOf(error) });
  }
});
