import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDwi, readNifti } from "../io/index.ts";
import {
  measureVolume,
  type Phantom,
  phantomFiles,
  phantomTruthMaps,
  writePhantom,
} from "./index.ts";

const options = { size: [16, 18, 12], scheme: "2shell", seed: 3 } as const;
const python = ["python3", "/usr/bin/python3"].find(
  (command) => spawnSync(command, ["-c", "import nibabel, dipy"]).status === 0,
);

describe("writePhantom", () => {
  let parent: string;
  let directory: string;
  let phantom: Phantom;
  const shares: number[] = [];

  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), "phantom-"));
    directory = join(parent, "new", "phantom");
    phantom = await writePhantom(directory, options, { onProgress: (share) => shares.push(share) });
  });
  afterAll(() => rm(parent, { recursive: true, force: true }));

  it("writes its files and nothing else, and says how far it is", async () => {
    expect((await readdir(directory)).sort()).toEqual(Object.values(phantomFiles).sort());
    expect(shares.at(-1)).toBe(1);
    expect([...shares].sort((a, b) => a - b)).toEqual(shares);
  });

  it("can be opened as any scan, every value as it was made", async () => {
    const dwi = await openDwi({
      dwi: join(directory, phantomFiles.dwi),
      bval: join(directory, phantomFiles.bval),
      bvec: join(directory, phantomFiles.bvec),
      mask: join(directory, phantomFiles.mask),
    });
    expect(dwi.warnings).toEqual([]);
    expect(dwi.voxels).toEqual(phantom.voxels);
    expect(dwi.gradients.bvals).toEqual(phantom.gradients.bvals);
    for (let i = 0; i < phantom.gradients.bvecs.length; i++) {
      expect(dwi.gradients.bvecs[i]).toBeCloseTo(phantom.gradients.bvecs[i], 7);
    }
    expect([...dwi.geometry.affine]).toEqual([...phantom.affine]);
    expect(dwi.geometry.voxelSize).toEqual([2, 2, 2]);
    const image = await readNifti(join(directory, phantomFiles.dwi));
    expect(image.dtype).toBe("int16");
    const voxels = 16 * 18 * 12;
    for (const volume of [0, 41, 95]) {
      expect(image.data.slice(volume * voxels, (volume + 1) * voxels)).toEqual(
        Float64Array.from(measureVolume(phantom, volume)),
      );
    }
  });

  it("writes the truth", async () => {
    const maps = phantomTruthMaps(phantom);
    for (const name of ["fa", "md", "f", "fibres"] as const) {
      const image = await readNifti(join(directory, phantomFiles[name]));
      expect(image.shape).toEqual([16, 18, 12]);
      expect(image.data).toEqual(Float64Array.from(maps[name]));
    }
    const directions = await readNifti(join(directory, phantomFiles.directions));
    expect(directions.shape).toEqual([16, 18, 12, 9]);
    const { truth, voxels } = phantom;
    const v = truth.fibres.indexOf(2);
    const stored = Array.from(
      { length: 9 },
      (_, k) => directions.data[k * 16 * 18 * 12 + voxels[v]],
    );
    for (let k = 0; k < 9; k++) {
      const share = truth.coherence[v] * truth.fractions[3 * v + Math.floor(k / 3)];
      expect(stored[k]).toBeCloseTo(share * truth.directions[9 * v + k], 6);
    }
    expect(Math.hypot(stored[3], stored[4], stored[5])).toBeGreaterThan(0.1);
    const json: unknown = JSON.parse(await readFile(join(directory, phantomFiles.options), "utf8"));
    expect(json).toEqual({ ...options, snr: 30 });
  });

  it("leaves nothing behind when it is interrupted, and old files as they were", async () => {
    const other = join(parent, "other");
    const controller = new AbortController();
    const stop = (share: number) => {
      if (share > 0.3) controller.abort(new Error("stopped by the test"));
    };
    const run = writePhantom(other, options, { signal: controller.signal, onProgress: stop });
    await expect(run).rejects.toThrow("stopped by the test");
    expect(await readdir(parent)).not.toContain("other");
    const before = await readFile(join(directory, phantomFiles.dwi));
    const again = new AbortController();
    await expect(
      writePhantom(
        directory,
        { ...options, seed: 4 },
        {
          signal: again.signal,
          onProgress: (share) => share > 0.3 && again.abort(new Error("stopped again")),
        },
      ),
    ).rejects.toThrow("stopped again");
    expect(await readFile(join(directory, phantomFiles.dwi))).toEqual(before);
    expect((await readdir(directory)).length).toBe(Object.keys(phantomFiles).length);
  });

  it("says so when the directory is a file", async () => {
    const file = join(parent, "file");
    await writeFile(file, "");
    await expect(writePhantom(file, options)).rejects.toThrow(/is a file, not a directory/);
  });

  it.skipIf(python === undefined)("opens in nibabel, and DIPY reads its table", () => {
    const script = `
import json, sys, nibabel as nib, numpy as np
from dipy.io import read_bvals_bvecs
from dipy.core.gradients import gradient_table
d = sys.argv[1]
image = nib.load(d + "/dwi.nii.gz")
b, v = read_bvals_bvecs(d + "/dwi.bval", d + "/dwi.bvec")
g = gradient_table(b, v, b0_threshold=50)
truth = {k: float(nib.load(f"{d}/true_{k}.nii.gz").get_fdata().max()) for k in ("fa", "md", "f", "fibres")}
print(json.dumps({"shape": image.shape, "dtype": str(image.get_data_dtype()), "b0": int(g.b0s_mask.sum()),
  "affine": image.affine.tolist(), "codes": [int(image.header["sform_code"]), int(image.header["qform_code"])],
  "qform": np.abs(image.get_qform() - image.affine).max() < 1e-5, "sum": int(image.get_fdata().sum()), "truth": truth},
  default=bool))`;
    const out = execFileSync(python as string, ["-c", script, directory], { encoding: "utf8" });
    const seen = JSON.parse(out);
    expect(seen.shape).toEqual([16, 18, 12, 96]);
    expect(seen.dtype).toBe("int16");
    expect(seen.b0).toBe(6);
    expect(seen.affine.flat()).toEqual([...phantom.affine]);
    expect(seen.codes).toEqual([1, 1]);
    expect(seen.qform).toBe(true);
    expect(seen.truth.f).toBe(1);
    let sum = 0;
    for (let volume = 0; volume < 96; volume++) {
      for (const sample of measureVolume(phantom, volume)) sum += sample;
    }
    expect(seen.sum).toBe(sum);
  });
});
