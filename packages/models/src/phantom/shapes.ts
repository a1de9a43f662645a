/** Distances to simple solids, and soft edges; millimetres throughout, negative distances inside. */

/** 0 below -1/2, 1 above +1/2 and straight between: the share of a voxel on one side of a plane. */
export function ramp(t: number): number {
  return Math.min(1, Math.max(0, t + 0.5));
}

/** 1 where |t| <= 1 - edge/2, 0 where |t| >= 1 + edge/2. */
export function band(t: number, edge: number): number {
  return ramp((1 - Math.abs(t)) / edge);
}

/** Length of a vector. */
export function length3(x: number, y: number, z: number): number {
  return Math.sqrt(x * x + y * y + z * z);
}

/** Distance to an ellipsoid about the origin, exact to first order near its surface. */
export function ellipsoidDistance(
  x: number,
  y: number,
  z: number,
  rx: number,
  ry: number,
  rz: number,
): number {
  const px = x / rx;
  const py = y / ry;
  const pz = z / rz;
  const norm = length3(px, py, pz);
  const slope = length3(px / rx, py / ry, pz / rz);
  if (slope === 0) return -Math.min(rx, ry, rz);
  return ((norm - 1) * norm) / slope;
}

/** A point of a tube's centre line and the tube's radius there. */
export interface TubePoint {
  readonly at: readonly [number, number, number];
  readonly radius: number;
}

/** Distance to a tube whose radius runs linearly from point to point. */
export function tubeDistance(
  x: number,
  y: number,
  z: number,
  points: readonly TubePoint[],
): number {
  let nearest = Number.POSITIVE_INFINITY;
  for (let i = 1; i < points.length; i++) {
    const { at: a, radius: ra } = points[i - 1];
    const { at: b, radius: rb } = points[i];
    const dx = b[0] - a[0];
    const dy = b[1] - a[1];
    const dz = b[2] - a[2];
    const along = (x - a[0]) * dx + (y - a[1]) * dy + (z - a[2]) * dz;
    const t = Math.min(1, Math.max(0, along / (dx * dx + dy * dy + dz * dz)));
    const ex = x - a[0] - t * dx;
    const ey = y - a[1] - t * dy;
    const ez = z - a[2] - t * dz;
    const distance = length3(ex, ey, ez) - (ra + t * (rb - ra));
    nearest = Math.min(nearest, distance);
  }
  return nearest;
}
