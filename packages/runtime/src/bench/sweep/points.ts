/** What a sweep measures, and in which order. */

export const sweepModels = ["csd", "freewater"] as const;
export type SweepModel = (typeof sweepModels)[number];

/** `serial` is our engine of one thread, `dipy-serial` DIPY's loop in one process: the baselines of the two sides. */
export const sweepEngines = ["serial", "local", "cluster", "dipy-serial", "dipy-ray"] as const;
export type SweepEngine = (typeof sweepEngines)[number];

/** One thing to be timed. The baselines have one worker and one chunk. */
export interface SweepPoint {
  readonly model: SweepModel;
  readonly engine: SweepEngine;
  readonly workers: number;
  readonly chunks: number;
}

export interface PlanInput {
  /** Of each model its voxels. */
  readonly models: readonly { readonly name: SweepModel; readonly voxels: number }[];
  readonly engine: "local" | "cluster";
  readonly workers: readonly number[];
  /** Chunk counts are 2 to the power of these. */
  readonly minChunks: number;
  readonly maxChunks: number;
  /** With DIPY on Ray beside it, up to 2 to the power of this. */
  readonly peerMaxChunks?: number;
}

export interface Plan {
  readonly points: readonly SweepPoint[];
  /** Chunk counts of which a model has too few voxels. */
  readonly skipped: readonly { readonly model: SweepModel; readonly chunks: number }[];
}

export function planSweep(input: PlanInput): Plan {
  const { models, engine, workers, minChunks, maxChunks, peerMaxChunks } = input;
  const exponents = Array.from({ length: maxChunks - minChunks + 1 }, (_, i) => minChunks + i);
  const points: SweepPoint[] = [];
  const skipped: { model: SweepModel; chunks: number }[] = [];
  for (const { name: model, voxels } of models) {
    points.push({ model, engine: "serial", workers: 1, chunks: 1 });
    if (peerMaxChunks !== undefined) {
      points.push({ model, engine: "dipy-serial", workers: 1, chunks: 1 });
    }
    for (const exponent of exponents) {
      const chunks = 2 ** exponent;
      if (chunks > voxels) {
        skipped.push({ model, chunks });
        continue;
      }
      for (const count of workers) {
        points.push({ model, engine, workers: count, chunks });
        if (peerMaxChunks !== undefined && exponent <= peerMaxChunks) {
          points.push({ model, engine: "dipy-ray", workers: count, chunks });
        }
      }
    }
  }
  return { points, skipped };
}

/** 1, 2, 4, ... up to the slots, and all slots. */
export function defaultWorkers(slots: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count < slots; count *= 2) counts.push(count);
  return [...counts, slots];
}

/** The same things in the order that the seed decides (Fisher and Yates), the same for the same seed. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const next = randomFrom(seed);
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Numbers in [0, 1): mulberry32, enough to put things in order. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
