import { describe, expect, it } from "vitest";
import { randomNumbers } from "../csd/testing.ts";
import { ENGINES } from "../guard/testing.ts";
import { InputError, type OutputView, type VoxelKernel, VoxelStatus } from "../model.ts";
import { createDtiKernel, DTI_OUTPUTS } from "./dti.ts";
import { createFreeWaterKernel, FREE_WATER_OUTPUTS } from "./freewater.ts";
import type { KernelEngine } from "./kernelMemory.ts";

const random = randomNumbers(29);
const between = (least: number, most: number) => least + Math.floor(random() * (most + 1 - least));

/** Rows of signals, of which the kernel gets some, and what its outputs hold before. */
const VOXELS = 9;
const [FIRST, COUNT] = [1, 7];
const UNTOUCHED = 77;
const GUARD_BYTES = 64;

function randomDirection(): number[] {
  const vector = [random() - 0.5, random() - 0.5, random() - 0.5];
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}

/** So many volumes of a wider row, the first of them b0, the others of three shells in random directions. */
function randomTable(count: number) {
  const width = count + between(0, 5);
  const skipped = between(0, width - count);
  return {
    width,
    volumes: Int32Array.from({ length: count }, (_, i) => skipped + i),
    bvals: Float64Array.from({ length: width }, (_, i) =>
      i === skipped ? 0 : 700 * between(1, 3),
    ),
    bvecs: Float64Array.from(Array.from({ length: width }, randomDirection).flat()),
    isB0: Uint8Array.from({ length: width }, (_, i) => (i === skipped ? 1 : 0)),
    slope: 1.5,
    intercept: -0.25,
  };
}

type Table = ReturnType<typeof randomTable>;

/**
 * Signals of many sizes. Rows that are not the kernel's, and volumes that are not used, are NaN: it would show in
 * the answers if they were read. Of its own the third is NaN in part, the fourth 0, the fifth as large as can be,
 * the sixth as small as can be.
 */
function randomSignals(table: Table): Float64Array {
  const { width, volumes } = table;
  const signals = new Float64Array(width * VOXELS).fill(Number.NaN);
  for (let v = 0; v < COUNT; v++) {
    const scale = 2 ** between(0, 12);
    for (const volume of volumes) {
      const at = (FIRST + v) * width + volume;
      signals[at] = scale * (0.2 + random()) * Math.exp(-table.bvals[volume] * 1e-3);
      if (v === 3) signals[at] = 0.25 / 1.5;
      if (v === 4) signals[at] = 1.1e308;
      if (v === 5) signals[at] = 0.25 / 1.5 + 1e-15 * random();
    }
    if (v === 2) signals[(FIRST + v) * width + volumes[0]] = Number.NaN;
  }
  return signals;
}

/** Views for all voxels in buffers with guards before and behind. */
function guardedViews(outputs: readonly (readonly [string, number])[]): OutputView[] {
  return outputs.map(([, width]) => {
    const bytes = 8 * width * VOXELS;
    const buffer = new ArrayBuffer(GUARD_BYTES + bytes + GUARD_BYTES);
    new Float64Array(buffer).fill(UNTOUCHED);
    return new Float64Array(buffer, GUARD_BYTES, width * VOXELS);
  });
}

/** Fits the middle rows; gives what the outputs' buffers hold, and checks that they are as before outside those rows. */
function fitGuarded(
  kernel: VoxelKernel,
  outputs: readonly (readonly [string, number])[],
  signals: Float64Array,
): Float64Array[] {
  const before = signals.slice();
  const views = guardedViews(outputs);
  kernel.fit(signals, FIRST, COUNT, views, FIRST);
  expect(signals).toEqual(before);
  return views.map((view, k) => {
    const whole = new Float64Array(view.buffer);
    const width = outputs[k][1];
    const start = GUARD_BYTES / 8 + FIRST * width;
    const end = start + COUNT * width;
    expect(whole.every((value, i) => (i >= start && i < end) || value === UNTOUCHED)).toBe(true);
    const rows = whole.slice(start, end);
    expect(rows.every((value) => Number.isFinite(value) && value !== UNTOUCHED)).toBe(true);
    return rows;
  });
}

const models = {
  "dti, wls": {
    outputs: DTI_OUTPUTS,
    create: (table: Table, engine: KernelEngine) =>
      createDtiKernel({ ...table, method: "wls", minSignal: 1e-4 }, engine),
  },
  "dti, ols": {
    outputs: DTI_OUTPUTS,
    create: (table: Table, engine: KernelEngine) =>
      createDtiKernel({ ...table, method: "ols", minSignal: 1e-4 }, engine),
  },
  "free water, nls": {
    outputs: FREE_WATER_OUTPUTS,
    create: (table: Table, engine: KernelEngine) =>
      createFreeWaterKernel({ ...table, method: "nls", gridRounds: 3 }, engine),
  },
  "free water, wls": {
    outputs: FREE_WATER_OUTPUTS,
    create: (table: Table, engine: KernelEngine) =>
      createFreeWaterKernel({ ...table, method: "wls", gridRounds: 3 }, engine),
  },
} as const;

describe.each(Object.entries(models))("a kernel of %s", (_, { outputs, create }) => {
  it.each([1, 2, 5, 6])("is refused for %i volumes", (count) => {
    for (const engine of ENGINES) {
      expect(() => create(randomTable(count), engine)).toThrow(InputError);
    }
  });

  it.each([12, 13, 29, 64, 101, 288, 431, 600])(
    "reads and writes its own rows alone, with the same bytes from both engines: %i volumes",
    (count) => {
      const table = randomTable(count);
      const signals = randomSignals(table);
      const [fast, plain] = ENGINES.map((engine) =>
        fitGuarded(create(table, engine), outputs, signals).map(
          (rows) => new BigUint64Array(rows.buffer),
        ),
      );
      expect(fast).toEqual(plain);
      const status = new Float64Array(fast[outputs.length - 1].buffer);
      expect([status[0], status[2], status[3]]).toEqual([
        VoxelStatus.fitted,
        VoxelStatus.notFinite,
        VoxelStatus.noSignal,
      ]);
    },
  );
});
