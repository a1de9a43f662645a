/** The cuboid around the centre of a volume from which the automatic response is estimated. */
import type { NumericView } from "./datatype.ts";
import type { CentreRoi } from "./dwi.ts";

const radius = 10;

export interface CentreBox {
  /** First grid index in x, y, z. */
  readonly start: readonly [number, number, number];
  readonly shape: readonly [number, number, number];
}

/**
 * The cuboid of DIPY's mask_for_response_ssst with its defaults, axis by axis: centre shape//2, radius
 * 10; where that leaves the volume, radius min(centre, shape - centre). Both ends belong to it, and
 * what then still lies behind the volume (an even axis) is cut off.
 */
export function centreBox(grid: readonly [number, number, number]): CentreBox {
  const axes = grid.map((length) => {
    const centre = Math.floor(length / 2);
    const leaves = centre - radius < 0 || centre + radius >= length;
    const reach = leaves ? Math.min(centre, length - centre) : radius;
    const start = centre - reach;
    return { start, length: Math.min(centre + reach, length - 1) - start + 1 };
  });
  return {
    start: [axes[0].start, axes[1].start, axes[2].start],
    shape: [axes[0].length, axes[1].length, axes[2].length],
  };
}

/** Gathers the scaled signals of the cuboid while the volumes pass by. */
export class CentreCollector {
  readonly roi: CentreRoi;
  readonly #box: CentreBox;
  readonly #grid: readonly [number, number, number];
  readonly #width: number;
  readonly #scale: { readonly slope: number; readonly intercept: number };

  constructor(
    grid: readonly [number, number, number],
    width: number,
    scale: { readonly slope: number; readonly intercept: number },
  ) {
    this.#box = centreBox(grid);
    this.#grid = grid;
    this.#width = width;
    this.#scale = scale;
    const [sx, sy, sz] = this.#box.shape;
    this.roi = { shape: this.#box.shape, signals: new Float64Array(sx * sy * sz * width) };
  }

  /** Sets the voxels of the cuboid that are not among `voxels` (ascending grid indices) to 0. */
  keepOnly(voxels: Uint32Array): void {
    const [nx, ny] = this.#grid;
    const [sx, sy] = this.#box.shape;
    const [x0, y0, z0] = this.#box.start;
    const inMask = new Set(voxels);
    const count = this.roi.signals.length / this.#width;
    for (let voxel = 0; voxel < count; voxel++) {
      const x = x0 + (voxel % sx);
      const y = y0 + (Math.floor(voxel / sx) % sy);
      const z = z0 + Math.floor(voxel / (sx * sy));
      if (inMask.has(x + nx * (y + ny * z))) continue;
      this.roi.signals.fill(0, voxel * this.#width, (voxel + 1) * this.#width);
    }
  }

  /** Takes the values from grid index `first` on of the volume that becomes sample `column`. */
  take(column: number, first: number, values: NumericView): void {
    const { slope, intercept } = this.#scale;
    const [nx, ny] = this.#grid;
    const [sx, sy, sz] = this.#box.shape;
    const [x0, y0, z0] = this.#box.start;
    const end = first + values.length;
    const { signals } = this.roi;
    for (let row = 0; row < sy * sz; row++) {
      const y = y0 + (row % sy);
      const z = z0 + Math.floor(row / sy);
      const start = x0 + nx * (y + ny * z);
      const low = Math.max(first, start);
      const high = Math.min(end, start + sx);
      for (let index = low; index < high; index++) {
        const voxel = row * sx + (index - start);
        signals[voxel * this.#width + column] = slope * values[index - first] + intercept;
      }
    }
  }
}
