/**
 * The way of the voxels through the lanes. In float64 they start, iterate and are done. In float32 they
 * iterate four at a time; where their directions stay the same, float32 does not get on, or rounding could
 * decide, they take the step again in float64 and come back if it was not the last. So the answer is that
 * of float64, to the bit, wherever both came to the same directions.
 */
import type { CsdDesign } from "./csdDesign.ts";
import {
  type CsdLanes,
  countTaken,
  createLanes,
  enterLane,
  keepActive,
  stepLanes,
  undoStep,
} from "./csdLanes.ts";
import { powerOfTwo } from "./csdMatrices.ts";
import type { CsdParameters } from "./csdParameters.ts";
import { probeFloat32 } from "./csdProbe.ts";
import { beginVoxel, type CsdVoxel, createVoxels } from "./csdVoxel.ts";

/**
 * In float32 a voxel needs so many active directions for each coefficient: with fewer the normal matrix loses so many
 * digits that amplitudes are off by more than the threshold. Measured on 160,000 voxels at b = 1000 to 3000 and
 * signal-to-noise ratios of 10 to 40: with 1.5 two came to other directions than in float64, with this none.
 */
const LEAST_ACTIVE = 1.8;

/** Where float32 is off by more than this share of the threshold, it is not used. */
const GREATEST_ERROR = 0.01;

export interface CsdVoxels {
  readonly count: number;
  /** Starts a voxel: true where it must iterate, its directions being listed in the design; else it is done. */
  start(voxel: CsdVoxel): boolean;
  /** The voxel is done; its coefficients are those of the lane of the float64 stage. */
  finish(voxel: CsdVoxel, lane: number, status: number): void;
}

export class CsdFlow {
  readonly #design: CsdDesign;
  readonly #float64: CsdLanes;
  readonly #float32: CsdLanes | undefined;
  readonly #all: readonly CsdVoxel[];
  #free: CsdVoxel[] = [];
  /** Voxels that wait for a lane in float64. */
  #waiting: CsdVoxel[] = [];
  /** Voxels that come back to float32. */
  #returning: CsdVoxel[] = [];
  #next = 0;

  constructor(design: CsdDesign, { directions }: CsdParameters) {
    this.#design = design;
    this.#float64 = createLanes(design, design.float64, 0);
    this.#all = createVoxels(design);
    const float32 =
      design.float32 && createLanes(design, design.float32, LEAST_ACTIVE * design.count);
    if (float32 === undefined) return;
    const error = probeFloat32(design, float32, this.#float64, this.#all[0], directions);
    if (error <= GREATEST_ERROR) this.#float32 = float32;
  }

  run(voxels: CsdVoxels): void {
    // A call that threw left voxels behind.
    this.#free = this.#all.slice();
    this.#waiting = [];
    this.#returning = [];
    this.#next = 0;
    this.#float64.voxels.fill(undefined);
    this.#float32?.voxels.fill(undefined);
    if (this.#float32 === undefined) this.#runPlain(voxels);
    else this.#runBoth(this.#float32, voxels);
  }

  #runPlain(voxels: CsdVoxels): void {
    const lanes = this.#float64;
    const finish = this.#finisher(voxels);
    for (;;) {
      for (let lane = 0; lane < lanes.voxels.length; lane++) {
        if (lanes.voxels[lane] !== undefined) continue;
        const voxel = this.#startNext(voxels);
        if (voxel === undefined) break;
        enterLane(this.#design, lanes, lane, voxel, 1);
      }
      if (countTaken(lanes) === 0) return;
      stepLanes(this.#design, lanes, finish);
    }
  }

  #runBoth(fast: CsdLanes, voxels: CsdVoxels): void {
    const design = this.#design;
    const slow = this.#float64;
    const finish = this.#finisher(voxels);
    const leave = (voxel: CsdVoxel, lane: number, status: number | undefined) => {
      if (status !== undefined) return finish(voxel, lane, status);
      keepActive(slow, lane, voxel);
      this.#returning.push(voxel);
    };
    const handOver = (voxel: CsdVoxel, lane: number) => {
      keepActive(fast, lane, voxel);
      undoStep(voxel);
      this.#waiting.push(voxel);
    };
    for (;;) {
      for (let lane = 0; lane < fast.voxels.length; lane++) {
        if (fast.voxels[lane] === undefined) this.#enterFast(fast, lane, voxels);
      }
      if (countTaken(fast) > 0) stepLanes(design, fast, handOver);
      // As long as others come, only with all lanes taken.
      const isLast = countTaken(fast) === 0 && this.#next >= voxels.count;
      const least = isLast ? 1 : slow.voxels.length;
      while (this.#waiting.length >= least) {
        for (let lane = 0; lane < slow.voxels.length && this.#waiting.length > 0; lane++) {
          const voxel = this.#waiting.shift() as CsdVoxel;
          enterLane(design, slow, lane, voxel, 1);
        }
        stepLanes(design, slow, leave, true);
      }
      if (isLast && this.#returning.length === 0) return;
    }
  }

  /** Fills a lane of float32; what has no place there goes to float64 at once. */
  #enterFast(fast: CsdLanes, lane: number, voxels: CsdVoxels): void {
    const design = this.#design;
    for (;;) {
      const voxel = this.#returning.shift() ?? this.#startNext(voxels);
      if (voxel === undefined) return;
      if (voxel.activeCount < fast.leastActive) {
        this.#waiting.push(voxel);
        continue;
      }
      let greatest = 0;
      for (let n = 0; n < design.count; n++) greatest = Math.max(greatest, Math.abs(voxel.z[n]));
      const scale = 1 / powerOfTwo(greatest);
      if (greatest * scale >= 1 && greatest * scale < 2) {
        enterLane(design, fast, lane, voxel, scale);
        return;
      }
      this.#waiting.push(voxel);
    }
  }

  /** The next voxel that must iterate, with its moments; none where there is no more, or no room. */
  #startNext(voxels: CsdVoxels): CsdVoxel | undefined {
    const voxel = this.#free.at(-1);
    if (voxel === undefined) return undefined;
    while (this.#next < voxels.count) {
      voxel.index = this.#next++;
      if (!voxels.start(voxel)) continue;
      this.#free.pop();
      beginVoxel(this.#design, voxel);
      return voxel;
    }
    return undefined;
  }

  #finisher(voxels: CsdVoxels) {
    return (voxel: CsdVoxel, lane: number, status: number | undefined) => {
      if (status === undefined) return;
      voxels.finish(voxel, lane, status);
      this.#free.push(voxel);
    };
  }
}
