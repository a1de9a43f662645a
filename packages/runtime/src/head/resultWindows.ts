/** How much of a fit's results each worker has under way to the driver: a head relays no more than it allowed. */
import { outputsRowBytes } from "@fascicle/object-store";
import { type JobSpec, resultWindowBytes } from "@fascicle/transport";
import { chunksPerFrame } from "@fascicle/worker";

interface Window {
  readonly windowBytes: number;
  /** Of the opening that it counts for; undefined before the first result. */
  epoch: number | undefined;
  underWayBytes: number;
}

export class ResultWindows {
  readonly #spec: JobSpec;
  readonly #windows = new Map<string, Window>();

  constructor(spec: JobSpec) {
    this.#spec = spec;
  }

  /** The worker was told this window; it begins a run while less than that is under way. */
  grant(agent: string, windowBytes: number): void {
    this.#windows.set(agent, { windowBytes, epoch: undefined, underWayBytes: 0 });
  }

  /** A piece goes to the driver. Throws where it is more than the worker may have under way. */
  relay(agent: string, epoch: number, bytes: number): void {
    // A head before this one granted a window that is not known, and no larger than the largest.
    if (!this.#windows.has(agent)) this.grant(agent, resultWindowBytes);
    const window = this.#windows.get(agent)!;
    if (window.epoch !== epoch) {
      window.epoch = epoch;
      window.underWayBytes = 0;
    }
    window.underWayBytes += bytes;
    if (window.underWayBytes > window.windowBytes + this.#runBytes(window.windowBytes)) {
      throw new Error("a worker has more results under way than it may");
    }
  }

  /** The driver took this much. */
  credit(agent: string, epoch: number, bytes: number): void {
    const window = this.#windows.get(agent);
    if (window?.epoch === epoch) window.underWayBytes -= bytes;
  }

  agentLeft(agent: string): void {
    this.#windows.delete(agent);
  }

  #runBytes(windowBytes: number): number {
    const { voxelCount, chunkCount, outputs } = this.#spec;
    const chunkBytes = Math.ceil(voxelCount / chunkCount) * outputsRowBytes(outputs);
    return chunksPerFrame(this.#spec, windowBytes) * chunkBytes;
  }
}
