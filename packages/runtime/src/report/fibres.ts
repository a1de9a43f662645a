/** Fibre orientations out of FOD amplitudes: peaks, and the colours that name directions. */
import type { SphereMesh } from "./sphere.ts";

/** FOD amplitudes of any masked voxels over the vertices of a mesh. */
export interface FodSource {
  readonly mesh: SphereMesh;
  /** One amplitude for each vertex of the mesh, for each of the rows; voxel after voxel. */
  amplitudes(rows: ArrayLike<number>): Float64Array;
}

export interface Peak {
  /** Unit vector in the frame of the mesh. */
  readonly direction: readonly [number, number, number];
  readonly amplitude: number;
}

/**
 * Peaks of one FOD, largest first: vertices above all their neighbours, refined by the weight of the
 * neighbourhood, at least `threshold` times the largest, opposites taken as one.
 */
export function fodPeaks(
  amplitudes: Float64Array,
  { vertices, neighbours }: SphereMesh,
  { threshold = 0.33, separationDegrees = 25, most = 3 } = {},
): Peak[] {
  const tops: number[] = [];
  for (let i = 0; i < amplitudes.length; i++) {
    if (amplitudes[i] > 0 && neighbours[i].every((n) => amplitudes[n] <= amplitudes[i]))
      tops.push(i);
  }
  tops.sort((a, b) => amplitudes[b] - amplitudes[a] || a - b);
  const nearest = Math.cos((separationDegrees * Math.PI) / 180);
  const peaks: Peak[] = [];
  for (const top of tops) {
    if (peaks.length === most || amplitudes[top] < threshold * amplitudes[tops[0]]) break;
    const v = [vertices[3 * top], vertices[3 * top + 1], vertices[3 * top + 2]];
    if (peaks.some((peak) => Math.abs(dot(peak.direction, v)) > nearest)) continue;
    peaks.push({
      direction: refine(top, amplitudes, vertices, neighbours[top]),
      amplitude: amplitudes[top],
    });
  }
  return peaks;
}

/** The mean of a top and its neighbours, each weighted by how far it stands above the lowest. */
function refine(
  top: number,
  amplitudes: Float64Array,
  vertices: Float64Array,
  around: readonly number[],
): [number, number, number] {
  const lowest = Math.min(...around.map((n) => amplitudes[n]));
  const sum: [number, number, number] = [0, 0, 0];
  for (const n of [top, ...around]) {
    const weight = amplitudes[n] - lowest;
    for (let i = 0; i < 3; i++) sum[i] += weight * vertices[3 * n + i];
  }
  const length = Math.sqrt(dot(sum, sum));
  if (length === 0) return [vertices[3 * top], vertices[3 * top + 1], vertices[3 * top + 2]];
  return [sum[0] / length, sum[1] / length, sum[2] / length];
}

/**
 * Direction-encoded colour of one FOD, red left-right, green front-back, blue up-down: the mean of
 * |direction| weighted by amplitude, as long as the mean amplitude. Source: Dhollander, Smith,
 * Tournier, Connelly, Proc. ISMRM 2015, p. 566.
 */
export function fodColour(
  amplitudes: Float64Array,
  { vertices }: SphereMesh,
): [number, number, number] {
  const sum: [number, number, number] = [0, 0, 0];
  let total = 0;
  for (let i = 0; i < amplitudes.length; i++) {
    const weight = Math.max(0, amplitudes[i]);
    total += weight;
    for (let k = 0; k < 3; k++) sum[k] += weight * Math.abs(vertices[3 * i + k]);
  }
  const length = Math.sqrt(dot(sum, sum));
  if (!(length > 0)) return [0, 0, 0];
  const scale = total / amplitudes.length / length;
  return [sum[0] * scale, sum[1] * scale, sum[2] * scale];
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Angle between two undirected lines, degrees 0..90. */
export function lineAngleDegrees(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const cosine = Math.min(1, Math.abs(dot(a, b)) / Math.sqrt(dot(a, a) * dot(b, b)));
  return (Math.acos(cosine) * 180) / Math.PI;
}
