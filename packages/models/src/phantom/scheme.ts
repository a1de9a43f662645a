/** Gradient schemes as scanners run them. */
import { evenDirections } from "./directions.ts";

export const phantomSchemes = ["hcp", "64dir", "2shell"] as const;
export type PhantomScheme = (typeof phantomSchemes)[number];

/** b-values and directions in the order of the volumes. */
export interface GradientScheme {
  /** s/mm², one per volume. */
  readonly bvals: Float64Array;
  /** Unit vectors, 3 per volume, along the axes of the voxel grid; (0,0,0) for b0 volumes. */
  readonly bvecs: Float64Array;
}

interface SchemePlan {
  /** s/mm² and number of directions of each shell. */
  readonly shells: readonly { readonly b: number; readonly count: number }[];
  /** Every so many volumes begin with a b0; 0 for one b0 at the start. */
  readonly b0Every: number;
}

const plans: Readonly<Record<PhantomScheme, SchemePlan>> = {
  // As the Human Connectome Project: 18 b0 and three shells of 90, interleaved.
  hcp: {
    shells: [
      { b: 1000, count: 90 },
      { b: 2000, count: 90 },
      { b: 3000, count: 90 },
    ],
    b0Every: 16,
  },
  "64dir": { shells: [{ b: 1000, count: 64 }], b0Every: 0 },
  "2shell": {
    shells: [
      { b: 1000, count: 30 },
      { b: 2000, count: 60 },
    ],
    b0Every: 16,
  },
};

/**
 * The scheme of that name: `hcp` 18 b0 and 90 at each of 1000, 2000, 3000; `64dir` 1 b0 and 64 at
 * 1000; `2shell` 6 b0, 30 at 1000 and 60 at 2000. Shells are interleaved and b0 volumes spread.
 */
export function gradientScheme(name: PhantomScheme): GradientScheme {
  const { shells, b0Every } = plans[name];
  const directions = shells.map(({ count }, shell) => evenDirections(count, shell + 1));
  const bvals: number[] = [];
  const bvecs: number[] = [];
  const taken = shells.map(() => 0);
  const total = shells.reduce((sum, { count }) => sum + count, 0);
  for (let done = 0; done < total; ) {
    if (bvals.length === 0 || (b0Every > 0 && bvals.length % b0Every === 0)) {
      bvals.push(0);
      bvecs.push(0, 0, 0);
      continue;
    }
    const shell = leastAdvanced(taken, shells);
    const at = 3 * taken[shell]++;
    bvals.push(shells[shell].b);
    bvecs.push(...directions[shell].subarray(at, at + 3));
    done++;
  }
  return { bvals: Float64Array.from(bvals), bvecs: Float64Array.from(bvecs) };
}

/** The shell of which the smallest share has been taken, the first on ties. */
function leastAdvanced(taken: readonly number[], shells: SchemePlan["shells"]): number {
  let best = 0;
  for (let shell = 1; shell < shells.length; shell++) {
    // Compared crosswise: shares as fractions of whole numbers, exactly.
    if (taken[shell] * shells[best].count < taken[best] * shells[shell].count) best = shell;
  }
  return best;
}
