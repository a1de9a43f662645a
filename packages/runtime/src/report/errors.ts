/** How far fitted values lie from the truth, by what the voxel holds. */

export interface ErrorRow {
  readonly label: string;
  readonly voxels: number;
  readonly median: number;
  /** 95th percentile. */
  readonly p95: number;
  /** Share of the voxels where the table's `matchedLabel` holds. */
  readonly matched?: number;
}

export interface ErrorTable {
  readonly kind: "errors";
  readonly title: string;
  readonly units: string;
  /** Heading of a last column of shares, such as how often the number of fibres was right. */
  readonly matchedLabel?: string;
  readonly rows: readonly ErrorRow[];
  /** A picture of the same voxels. */
  readonly plot?: Density | Histogram;
}

/** How many voxels have which true and fitted value: `bins` by `bins` counts, rows from the top. */
export interface Density {
  readonly kind: "density";
  readonly bins: number;
  readonly counts: Float64Array;
  /** Values at the ends of both axes. */
  readonly window: readonly [number, number];
}

/** Shares of the voxels of each class by their error, in bins from 0 to `end`. */
export interface Histogram {
  readonly kind: "histogram";
  readonly end: number;
  readonly series: readonly { readonly label: TissueClass; readonly shares: readonly number[] }[];
}

/** What a phantom knows of each masked voxel; all arrays have one entry per voxel. */
export interface VoxelTruth {
  /** Free water's share of the signal, 0..1. */
  readonly water: ArrayLike<number>;
  /** Number of fibres, 0..3. */
  readonly fibres: ArrayLike<number>;
}

/** Kinds of voxels that pose different tasks to a model. */
export const tissueClasses = [
  "White matter, 1 fibre",
  "White matter, 2 fibres",
  "White matter, 3 fibres",
  "Grey matter",
  "Partly water",
  "Water",
] as const;
export type TissueClass = (typeof tissueClasses)[number];

/** Below this share of water a voxel counts as tissue, above its complement as water. */
const purity = 0.05;

export function tissueClassOf(truth: VoxelTruth, row: number): TissueClass {
  const water = truth.water[row];
  if (water > 1 - purity) return "Water";
  if (water >= purity) return "Partly water";
  const fibres = Math.min(3, truth.fibres[row]);
  return fibres === 0 ? "Grey matter" : tissueClasses[fibres - 1];
}

/** Value below which the share `p` of the values lies, straight between neighbours; NaN for none. */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = p * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

/** One voxel's error; `matched` is counted where the table has a `matchedLabel`. */
export interface ErrorEntry {
  readonly tissue: TissueClass;
  readonly error: number;
  readonly matched?: boolean;
}

/** A table of values by class, in the order of `tissueClasses`; classes without voxels are left out. */
export function tableByClass(
  title: string,
  units: string,
  entries: readonly ErrorEntry[],
  matchedLabel?: string,
): ErrorTable {
  const rows = tissueClasses.flatMap((label) => {
    const own = entries.filter(({ tissue }) => tissue === label);
    if (own.length === 0) return [];
    const errors = own.map(({ error }) => error);
    const row = {
      label,
      voxels: own.length,
      median: percentile(errors, 0.5),
      p95: percentile(errors, 0.95),
    };
    if (matchedLabel === undefined) return [row];
    return [{ ...row, matched: own.filter(({ matched }) => matched).length / own.length }];
  });
  return { kind: "errors", title, units, matchedLabel, rows };
}

/**
 * |fitted - true| of each voxel with its class. `fitted` and `expected` have one entry per masked voxel;
 * `counts` picks the voxels that count, such as those whose fit succeeded.
 */
export function errorEntries(
  fitted: ArrayLike<number>,
  expected: ArrayLike<number>,
  truth: VoxelTruth,
  counts: (row: number) => boolean = () => true,
): ErrorEntry[] {
  const entries: ErrorEntry[] = [];
  for (let row = 0; row < fitted.length; row++) {
    const error = Math.abs(fitted[row] - expected[row]);
    if (counts(row) && Number.isFinite(error)) {
      entries.push({ tissue: tissueClassOf(truth, row), error });
    }
  }
  return entries;
}

const densityBins = 96;

/** Counts of voxels by true value (to the right) and fitted value (up) within the window. */
export function densityOf(
  fitted: ArrayLike<number>,
  expected: ArrayLike<number>,
  window: readonly [number, number],
  counts: (row: number) => boolean = () => true,
): Density {
  const bins = densityBins;
  const cells = new Float64Array(bins * bins);
  const binOf = (value: number) =>
    Math.min(
      bins - 1,
      Math.max(0, Math.floor((bins * (value - window[0])) / (window[1] - window[0]))),
    );
  for (let row = 0; row < fitted.length; row++) {
    if (!counts(row) || !Number.isFinite(fitted[row])) continue;
    cells[(bins - 1 - binOf(fitted[row])) * bins + binOf(expected[row])]++;
  }
  return { kind: "density", bins, counts: cells, window };
}

/** Shares by class and error; errors beyond the end count in the last bin. */
export function histogramOf(entries: readonly ErrorEntry[], end: number, bins: number): Histogram {
  const series = tissueClasses.flatMap((label) => {
    const own = entries.filter(({ tissue }) => tissue === label);
    if (own.length === 0) return [];
    const shares = new Array<number>(bins).fill(0);
    for (const { error } of own) {
      shares[Math.min(bins - 1, Math.floor((bins * error) / end))] += 1 / own.length;
    }
    return [{ label, shares }];
  });
  return { kind: "histogram", end, series };
}
