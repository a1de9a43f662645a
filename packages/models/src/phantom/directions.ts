/**
 * Gradient directions that are spread evenly over the sphere, a direction and its opposite being
 * one: charges that repel each other until they rest. Source: Jones, Horsfield, Simmons, "Optimal
 * strategies for measuring diffusion in anisotropic systems", Magn. Reson. Med. 42, 1999.
 */
import { uniformPair } from "./random.ts";

const rounds = 240;
/** Directions are kept at the precision in which the bvec file states them. */
const decimals = 1e8;

/**
 * `count` unit vectors, 3 numbers each, the same for the same `stream`. Only + - * / and square
 * roots are used. The signs are drawn, so that the vectors cover the whole sphere as scanners do.
 */
export function evenDirections(count: number, stream: number): Float64Array {
  const points = randomDirections(count, stream);
  const force = new Float64Array(3 * count);
  for (let round = 0; round < rounds; round++) {
    repulsion(points, force);
    // The step shrinks from a third of the mean spacing to nearly nothing, so the charges settle.
    const left = 1 - round / rounds;
    const step = (0.6 / Math.sqrt(count)) * left * left;
    move(points, force, step);
  }
  for (let i = 0; i < count; i++) {
    const sign = uniformPair(i, 1, stream, 0x5163)[0] < 0.5 ? -1 : 1;
    for (let k = 3 * i; k < 3 * i + 3; k++) {
      points[k] = Math.round(sign * points[k] * decimals) / decimals + 0;
    }
  }
  return points;
}

function randomDirections(count: number, stream: number): Float64Array {
  const points = new Float64Array(3 * count);
  for (let i = 0, draw = 0; i < count; draw++) {
    const [u, v] = uniformPair(draw, 0, stream, 0x5163);
    // Marsaglia's way from a disc to the sphere needs no sine.
    const a = 2 * u - 1;
    const b = 2 * v - 1;
    const square = a * a + b * b;
    if (square >= 1) continue;
    const side = 2 * Math.sqrt(1 - square);
    points[3 * i] = a * side;
    points[3 * i + 1] = b * side;
    points[3 * i + 2] = 1 - 2 * square;
    i++;
  }
  return points;
}

/** The force on each point from all others and from their opposites, 1/r² each. */
function repulsion(points: Float64Array, force: Float64Array): void {
  force.fill(0);
  for (let i = 0; i < points.length; i += 3) {
    for (let j = i + 3; j < points.length; j += 3) {
      for (let sign = -1; sign <= 1; sign += 2) {
        const dx = points[i] - sign * points[j];
        const dy = points[i + 1] - sign * points[j + 1];
        const dz = points[i + 2] - sign * points[j + 2];
        const square = dx * dx + dy * dy + dz * dz + 1e-12;
        const scale = 1 / (square * Math.sqrt(square));
        force[i] += dx * scale;
        force[i + 1] += dy * scale;
        force[i + 2] += dz * scale;
        force[j] -= sign * dx * scale;
        force[j + 1] -= sign * dy * scale;
        force[j + 2] -= sign * dz * scale;
      }
    }
  }
}

/** Moves each point along its force's share in the sphere's surface, the farthest by `step`. */
function move(points: Float64Array, force: Float64Array, step: number): void {
  let largest = 0;
  for (let i = 0; i < points.length; i += 3) {
    const along =
      force[i] * points[i] + force[i + 1] * points[i + 1] + force[i + 2] * points[i + 2];
    let square = 0;
    for (let k = i; k < i + 3; k++) {
      force[k] -= along * points[k];
      square += force[k] * force[k];
    }
    largest = Math.max(largest, square);
  }
  const scale = largest > 0 ? step / Math.sqrt(largest) : 0;
  for (let i = 0; i < points.length; i += 3) {
    let square = 0;
    for (let k = i; k < i + 3; k++) {
      points[k] += scale * force[k];
      square += points[k] * points[k];
    }
    const length = Math.sqrt(square);
    for (let k = i; k < i + 3; k++) points[k] /= length;
  }
}
