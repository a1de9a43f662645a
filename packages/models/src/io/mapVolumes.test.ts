import { readdirSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { csd } from "../csd.ts";
import { dti } from "../dti.ts";
import { freeWater } from "../freewater.ts";
import type { DwiModel, FittedField, OutputView } from "../model.ts";
import { openDwi } from "./openDwi.ts";
import { type SaveableFit, saveMaps } from "./saveMaps.ts";
import { temporaryDirectory } from "./testing.ts";

const data = new URL("../../../../test/fixtures/data/real_64dir", import.meta.url).pathname;
const grid = 1000;

/** A fit with values that depend on the voxel, some of them not numbers. */
async function fitInMemory(): Promise<SaveableFit> {
  const dwi = await openDwi({ dwi: `${data}.nii`, bval: `${data}.bval`, bvec: `${data}.bvec` });
  const model: DwiModel = csd(dwi, { shOrder: 6 });
  const maps = model.outputs.map(({ name, width, dtype, units }) => {
    const rooms = { float64: Float64Array, uint16: Uint16Array, uint8: Uint8Array };
    const values = new rooms[dtype](dwi.voxels.length * width).map((_, i) =>
      i % 97 === 5 ? Number.NaN : (i * 37) % 1013,
    );
    return [name, { data: values, shape: [dwi.voxels.length, width], units }];
  });
  return { model, maps: Object.fromEntries(maps) };
}

/** The same fit with its rows in files, in whole. `reads` counts what is read of them. */
async function fitOnDisk(fit: SaveableFit, directory: string, reads: { rows: number }) {
  const handles = await Promise.all(
    Object.entries(fit.maps).map(async ([name, field]) => {
      const handle = await open(join(directory, `${name}.rows`), "wx+");
      await handle.write(new Uint8Array(field.data.buffer));
      return [name, field, handle] as const;
    }),
  );
  const fieldOf = ({ data, shape, units }: FittedField, handle: (typeof handles)[0][2]) => ({
    get data(): OutputView {
      throw new Error("All values at once are more than there is memory for.");
    },
    shape,
    units,
    isOnDisk: true,
    async read(start: number, end: number) {
      const { BYTES_PER_ELEMENT: bytes } = data;
      const rows = data.slice(start * shape[1], end * shape[1]).fill(0);
      await handle.read(new Uint8Array(rows.buffer), 0, rows.byteLength, start * shape[1] * bytes);
      reads.rows += end - start;
      return rows;
    },
  });
  const maps = handles.map(([name, field, handle]) => [name, fieldOf(field, handle)]);
  return {
    fit: { model: fit.model, maps: Object.fromEntries(maps) } as SaveableFit,
    close: () => Promise.all(handles.map(([, , handle]) => handle.close())),
  };
}

const contentOf = (directory: string) =>
  readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), "hex")]);

describe("saveMaps of a fit on disk", () => {
  it("writes the same bytes as from memory, however many volumes a pass puts together", async () => {
    using directory = temporaryDirectory();
    const inMemory = await fitInMemory();
    const reads = { rows: 0 };
    const { fit, close } = await fitOnDisk(inMemory, directory.path, reads);
    for (const nifti of ["nii", "nii.gz"] as const) {
      for (const dtype of ["float32", "float64"] as const) {
        const expected = join(directory.path, `memory-${dtype}-${nifti}`);
        await saveMaps(inMemory, expected, { nifti, dtype });
        const volumeBytes = grid * (dtype === "float32" ? 4 : 8);
        // 28 coefficients: passes of one, of eight, and of all of them; the other three maps take one each.
        for (const [volumes, passes] of [
          [0, 28],
          [8, 4],
          [100, 1],
        ]) {
          const out = join(directory.path, `disk-${dtype}-${nifti}-${volumes}`);
          reads.rows = 0;
          await saveMaps(fit, out, { nifti, dtype, memoryBytes: volumes * volumeBytes });
          expect(contentOf(out)).toEqual(contentOf(expected));
          expect(reads.rows).toBe((passes + 3) * inMemory.model.dwi.voxels.length);
        }
      }
    }
    await close();
  });

  it("leaves nothing when rows cannot be read, are too few, or it is aborted", async () => {
    using directory = temporaryDirectory();
    const inMemory = await fitInMemory();
    const { fit, close } = await fitOnDisk(inMemory, directory.path, { rows: 0 });
    const stop = new AbortController();
    const out = join(directory.path, "out");
    const gfaFrom = (read: FittedField["read"]): SaveableFit => ({
      model: fit.model,
      maps: { ...fit.maps, gfa: { ...inMemory.maps.gfa, isOnDisk: true, read } },
    });
    const failing = gfaFrom(() => Promise.reject(new Error("the rows are damaged")));
    await expect(saveMaps(failing, out)).rejects.toThrow("the rows are damaged");
    const short = gfaFrom(async () => new Float64Array(3));
    await expect(saveMaps(short, out)).rejects.toThrow("hold 3 values, not 1000");
    const aborting = gfaFrom(async () => {
      stop.abort();
      return new Float64Array(1000);
    });
    const saving = saveMaps(aborting, out, { signal: stop.signal });
    await expect(saving).rejects.toMatchObject({ name: "AbortError" });
    expect(readdirSync(directory.path).filter((name) => !name.endsWith(".rows"))).toEqual([]);
    await close();
  });

  it("is not loaded by what a model adds to its fit, before that is asked for", async () => {
    const { model } = await fitInMemory();
    const unread = (of: DwiModel) => ({
      maps: Object.fromEntries(
        of.outputs.map(({ name, width, units }) => [
          name,
          {
            get data(): OutputView {
              throw new Error(`${name} was loaded`);
            },
            shape: [1000, width] as const,
            units,
          },
        ]),
      ),
    });
    const { gradients } = model.dwi;
    // Free water wants two shells: the later half of the volumes counts as another one here.
    const bvals = gradients.bvals.map((b, i) => (i > 32 ? 2 * b : b));
    const twoShells = { ...model.dwi, gradients: { ...gradients, bvals, given: undefined } };
    const models = [model, dti(model.dwi), freeWater(twoShells)];
    for (const each of models) {
      const extras = each.extend(unread(each)) as { predict(): Float64Array };
      expect(() => extras.predict()).toThrow("was loaded");
    }
  });
});
