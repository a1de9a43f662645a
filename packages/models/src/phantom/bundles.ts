/**
 * The fibre bundles of the phantom as families of curves. Each is a function of the place in the
 * canonical brain (millimetres; x to the side, away from the midline, y to the front, z upwards)
 * and gives its share of the white matter and its tangent. The left half mirrors the right one.
 */
import { band, length3, ramp } from "./shapes.ts";

/** Where a bundle is asked for: |x|, y, z, and the width of a voxel, over which edges are soft. */
export interface Place {
  readonly side: number;
  readonly y: number;
  readonly z: number;
  readonly voxel: number;
}

/** What a bundle answers: weight 0..1, tangent in (side, y, z), not normalised. */
export interface Strand {
  weight: number;
  side: number;
  y: number;
  z: number;
}

/** The arch of the corpus callosum in the sagittal plane: an ellipse about (y 0, z `floor`). */
const arch = { front: 36, top: 24, floor: -4, thickness: 0.2, bend: 55 } as const;

/** Radius within the arch's family: 1 is the callosum's middle at the midline. */
export function archRadius(y: number, z: number): number {
  const up = (z - arch.floor) / arch.top;
  const front = y / arch.front;
  return length3(up, front, 0);
}

/** How far the callosum's fibres have bent outwards at a distance from the midline, 1 there. */
function archSpread(side: number): number {
  return 1 + (side * side) / (arch.bend * arch.bend);
}

/** As `archRadius`, followed along the fibre back to the midline. */
export function archOrigin(place: Place): number {
  const { side, y, z } = place;
  return archRadius(y, z) / archSpread(side);
}

/**
 * Corpus callosum: from side to side at the midline, then up above the body, forwards from the
 * genu (forceps minor) and backwards from the splenium (forceps major).
 */
function callosum(place: Place, out: Strand): void {
  const { side, y, z, voxel } = place;
  const spread = archSpread(side);
  const radius = archRadius(y, z);
  const up = radius > 0 ? (z - arch.floor) / arch.top / radius : 1;
  const front = radius > 0 ? y / arch.front / radius : 0;
  const edge = voxel / (arch.top * spread * arch.thickness);
  out.weight =
    band((radius / spread - 1) / arch.thickness, edge) *
    ramp((up + 0.3) * 6) *
    ramp((62 - side) / voxel);
  const opening = (2 * side * (radius / spread)) / (arch.bend * arch.bend);
  out.side = 1;
  out.y = opening * front * arch.front;
  out.z = opening * up * arch.top;
}

/** Cingulum: along the callosum's upper side, close to the midline, front to back. */
function cingulum(place: Place, out: Strand): void {
  const { side, y, z, voxel } = place;
  const radius = archRadius(y, z);
  const up = (z - arch.floor) / arch.top;
  const front = y / arch.front;
  const off = length3(side - 8, (radius - 1.4) * 28, 0);
  out.weight = ramp((5 - off) / voxel) * ramp(up * 3);
  out.side = 0;
  out.y = up * arch.front;
  out.z = -front * arch.top;
}

/**
 * Corticospinal tract and corona radiata: up through the internal capsule, between thalamus and
 * putamen, fanning to the cortex and gathering towards the brain stem.
 */
function corticospinal(place: Place, out: Strand): void {
  const { side, y, z, voxel } = place;
  const sideways = 0.95 + 0.0085 * z + 0.00004 * z * z;
  const lengthways = 1 + 0.009 * z + 0.0001 * z * z;
  const originSide = side / sideways;
  const originY = (y + 3) / lengthways;
  // The capsule is thin between the nuclei and widens above them.
  const halfWidth = 4 + 2.8 * ramp((z - 14) / 12);
  const off = length3((originSide - 22.5) / halfWidth, originY / 18, 0);
  out.weight = band(off, voxel / (halfWidth * sideways));
  out.side = originSide * (0.0085 + 0.00008 * z);
  out.y = originY * (0.009 + 0.0002 * z);
  out.z = 1;
}

/** Superior longitudinal fasciculus: front to back, arched, outside of the corona radiata. */
function superiorLongitudinal(place: Place, out: Strand): void {
  const { side, y, z, voxel } = place;
  const offSide = (side - (31 - 0.0025 * y * y)) / 8.5;
  const offUp = (z - (25 - 0.005 * y * y)) / 7;
  const off = length3(offSide, offUp, 0);
  out.weight = ramp(((1 - off) * 7.5) / voxel) * ramp((44 - y) / 6) * ramp((y + 56) / 6);
  out.side = -0.005 * y;
  out.y = 1;
  out.z = -0.01 * y;
}

/** Inferior longitudinal and fronto-occipital fascicles: front to back below the insula. */
function inferiorLongitudinal(place: Place, out: Strand): void {
  const { side, y, z, voxel } = place;
  const offSide = (side - (33 - 0.004 * (y + 6) * (y + 6))) / 6.5;
  const offUp = (z - (-13 + 0.0025 * y * y)) / 6;
  const off = length3(offSide, offUp, 0);
  out.weight = ramp(((1 - off) * 6) / voxel) * ramp((48 - y) / 6) * ramp((y + 66) / 6);
  out.side = -0.008 * (y + 6);
  out.y = 1;
  out.z = 0.005 * y;
}

export const bundles: readonly ((place: Place, out: Strand) => void)[] = [
  callosum,
  corticospinal,
  superiorLongitudinal,
  cingulum,
  inferiorLongitudinal,
];
