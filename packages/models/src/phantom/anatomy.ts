/**
 * The phantom's brain, a function of the place: which share of a small volume is water, grey matter
 * or white matter, and which fibres run there. Canonical millimetres (see `bundles.ts`), adult size.
 */
import { sin } from "../kernels/elementary.ts";
import { archOrigin, archRadius, bundles, type Place, type Strand } from "./bundles.ts";
import { ellipsoidDistance, length3, ramp, type TubePoint, tubeDistance } from "./shapes.ts";

/** Half the width of the canonical field of view in x, y, z. */
export const fieldOfView = [72, 88, 60] as const;

export const mostFibres = 3;

/** What a small volume holds; written over by each call of `tissueAt`. */
export interface Tissue {
  /** Share of the volume that is free water, 0..1. */
  water: number;
  /** Share of the rest that is grey matter, 0..1. */
  grey: number;
  /** How well the fibres of a population keep to its direction, from `leastCoherence` to 1. */
  coherence: number;
  fibreCount: number;
  /** Shares of the rest, largest first; with `grey` they add up to 1. */
  readonly fractions: Float64Array;
  /** Tangents in (x, y, z), 3 for each fibre, not normalised. */
  readonly tangents: Float64Array;
}

export function createTissue(): Tissue {
  return {
    water: 0,
    grey: 0,
    coherence: 1,
    fibreCount: 0,
    fractions: new Float64Array(mostFibres),
    tangents: new Float64Array(3 * mostFibres),
  };
}

const hull = { side: 66, front: 82, up: 55, down: 50 } as const;
/** Depth of the fluid between hull and cortex, and thickness of the cortex, millimetres. */
const rim = 2.2;
const cortex = 6;
/** A fibre below this share of the tissue is left out, as no method could tell it. */
const leastShare = 0.25;
/** Squared cosine of 40 degrees: fibres that cross at less cannot be told apart at these b-values. */
const leastCrossing = 0.5868;
/** Coherence of white matter outside of the named bundles. */
const leastCoherence = 0.55;

const ventricle: readonly TubePoint[] = [
  { at: [10.5, 29, 2], radius: 4 },
  { at: [8.5, 19, 7], radius: 6.5 },
  { at: [8, 2, 8], radius: 6.5 },
  { at: [11, -15, 7], radius: 6.5 },
  { at: [18, -29, 3], radius: 7 },
  { at: [23, -38, -2], radius: 5 },
  { at: [26, -24, -18], radius: 4 },
  { at: [27, -4, -22], radius: 3.5 },
];

/** Depth below the hull, positive inside; the head is wider behind than in front. */
export function headDepth(x: number, y: number, z: number): number {
  const side = hull.side * (1 - 0.0016 * y - 0.00001 * y * y);
  return -ellipsoidDistance(x, y, z, side, hull.front, z > 0 ? hull.up : hull.down);
}

/** 1 in the middle of a furrow of the cortex, near 0 on the ridges. */
function furrow(x: number, y: number, z: number): number {
  // Where waves of several directions cancel, lines wind over the surface like sulci.
  const wave =
    sin(0.155 * x + 0.06 * y + 0.8) +
    sin(0.07 * x - 0.15 * y + 0.05 * z + 2.1) +
    sin(0.13 * z + 0.11 * y - 0.04 * x + 4.4);
  const off = wave / 0.42;
  return 1 / (1 + off * off * off * off);
}

/** Sylvian fissure: a cleft from the side inwards to the insula, rising backwards. */
function sylvianDistance(side: number, y: number, z: number): number {
  const beyond = Math.max(0, length3((side - 70) / 28, (y - 1) / 30, 0) - 1) * 28;
  return length3(beyond, z + 6 + 0.32 * (y - 10), 0) - 2;
}

/** The cleft between the halves: distance to it, outside the callosum's arch only. */
function fissureDistance(place: Place): number {
  const { side, y, z } = place;
  const outside = (1.24 - archOrigin(place)) * 26;
  const stem = z < -8 ? 30 - Math.abs(y) : Number.NEGATIVE_INFINITY;
  return Math.max(side - 2, outside, stem);
}

function waterShare(place: Place, depth: number, fold: number): number {
  const { side, y, z, voxel } = place;
  const thirdVentricle = ellipsoidDistance(side, y + 7, z + 5, 2, 15, 11);
  const distance = Math.min(
    tubeDistance(side, y, z, ventricle),
    fissureDistance(place),
    sylvianDistance(side, y, z),
    thirdVentricle,
  );
  return Math.max(ramp(-distance / voxel), ramp((rim + 9 * fold - depth) / voxel));
}

function nucleusDistance(side: number, y: number, z: number): number {
  return Math.min(
    ellipsoidDistance(side - 10.5, y + 11, z - 1, 7.5, 13, 8), // thalamus
    ellipsoidDistance(side - 29.5 + 0.12 * y, y - 3, z, 4.8, 17, 10), // putamen, pallidum
    ellipsoidDistance(side - 17 + 0.1 * (y - 18), y - 18, z - 5, 4, 9, 7), // caudate
  );
}

function greyShare(place: Place, depth: number, fold: number): number {
  const { side, y, z, voxel } = place;
  const ribbon = ramp((rim + cortex + 9.5 * fold - depth) / voxel);
  const medial = ramp((7.5 - fissureDistance(place)) / voxel);
  const insula = ramp((6 - sylvianDistance(side, y, z)) / voxel);
  // Septum and hypothalamus: what lies between the ventricles below the arch.
  const septum = Math.max(
    ellipsoidDistance(side, y, z + 2, 8, 32, 17),
    (archRadius(y, z) - 0.8) * 24,
  );
  const nuclei = ramp(-nucleusDistance(side, y, z) / voxel);
  return Math.max(ribbon, medial, insula, nuclei, ramp(-septum / voxel));
}

const strand: Strand = { weight: 0, side: 0, y: 0, z: 0 };
const weights = new Float64Array(bundles.length + 1);
const strands = new Float64Array(3 * (bundles.length + 1));

/** Weights and tangents of all bundles at a place; the last is the fan to the nearest cortex. */
function weighBundles(place: Place): number {
  let strongest = 0;
  for (let i = 0; i < bundles.length; i++) {
    bundles[i](place, strand);
    weights[i] = strand.weight;
    strands[3 * i] = strand.side;
    strands[3 * i + 1] = strand.y;
    strands[3 * i + 2] = strand.z;
    strongest = Math.max(strongest, strand.weight);
  }
  const last = bundles.length;
  weights[last] = 0.8 * (1 - strongest);
  strands[3 * last] = 1.6 * place.side;
  strands[3 * last + 1] = place.y;
  strands[3 * last + 2] = 2 * (place.z + 12);
  return strongest;
}

/**
 * Takes the strongest bundles into `out`, as shares that add up to `available`. One that runs nearly
 * along a stronger one counts as the same fibres.
 */
function takeFibres(available: number, mirror: number, out: Tissue): void {
  let sum = 0;
  for (const weight of weights) sum += weight;
  let taken = 0;
  out.fibreCount = 0;
  while (out.fibreCount < mostFibres) {
    let best = 0;
    for (let i = 1; i < weights.length; i++) if (weights[i] > weights[best]) best = i;
    const weight = weights[best];
    if (!(weight * available >= leastShare * sum) || weight === 0) break;
    weights[best] = 0;
    const n = out.fibreCount;
    out.tangents[3 * n] = mirror * strands[3 * best];
    out.tangents[3 * n + 1] = strands[3 * best + 1];
    out.tangents[3 * n + 2] = strands[3 * best + 2];
    if (runsAlongAnother(out.tangents, n)) continue;
    out.fractions[n] = weight;
    taken += weight;
    out.fibreCount++;
  }
  for (let n = 0; n < out.fibreCount; n++) out.fractions[n] *= available / taken;
  if (out.fibreCount === 0) out.grey = 1;
}

/** Whether tangent `n` is within the least crossing angle of one before it. */
function runsAlongAnother(tangents: Float64Array, n: number): boolean {
  const dot = (a: number, b: number) =>
    tangents[3 * a] * tangents[3 * b] +
    tangents[3 * a + 1] * tangents[3 * b + 1] +
    tangents[3 * a + 2] * tangents[3 * b + 2];
  for (let m = 0; m < n; m++) {
    const product = dot(m, n);
    if (product * product > leastCrossing * dot(m, m) * dot(n, n)) return true;
  }
  return false;
}

/**
 * The tissue of a voxel of `voxel` mm about the place (x to the side, y to the front, z upwards) at
 * `depth` mm below the hull.
 */
export function tissueAt(
  x: number,
  y: number,
  z: number,
  depth: number,
  voxel: number,
  out: Tissue,
): void {
  const place = { side: Math.abs(x), y, z, voxel };
  const fold = furrow(x, y, z);
  out.water = waterShare(place, depth, fold);
  const strongest = weighBundles(place);
  // Bundles run through the grey matter of the midline and the nuclei's edges as they do in life.
  const nearSurface = ramp((rim + cortex - depth) / voxel);
  const kept = Math.max(weights[0] * (place.side < 12 ? 1 : 0), weights[3]);
  out.grey = Math.max(greyShare(place, depth, fold) * (1 - kept), nearSurface);
  out.coherence = leastCoherence + (1 - leastCoherence) * strongest;
  takeFibres(1 - out.grey, x < 0 ? -1 : 1, out);
}
