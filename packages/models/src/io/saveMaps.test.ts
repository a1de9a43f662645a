import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync, inflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { DwiModel, FittedField, OutputField } from "../model.ts";
import { openDwi } from "./openDwi.ts";
import { readNifti } from "./readNifti.ts";
import type { SaveableFit } from "./saveMaps.ts";
import { saveMaps } from "./saveMaps.ts";
import { checkWritable, StagingDirectory } from "./stagingDirectory.ts";
import type { TestImage } from "./testing.ts";
import { gradientTexts, temporaryDirectory } from "./testing.ts";
import { writeNifti } from "./writeNifti.ts";

type Directory = ReturnType<typeof temporaryDirectory>;

const outputs: OutputField[] = [
  { name: "sh", width: 6, dtype: "float64", units: "1" },
  { name: "fa", width: 1, dtype: "float64", units: "1" },
  { name: "iterations", width: 1, dtype: "uint16", units: "1" },
  { name: "status", width: 1, dtype: "uint8", units: "1" },
];

/** A fit of half the voxels of a dwi, with values that depend on the voxel. */
async function fitOn(directory: Directory, image: Partial<TestImage> = {}): Promise<SaveableFit> {
  const shape = image.shape ?? [5, 4, 3, 2];
  const grid = shape[0] * shape[1] * shape[2];
  const values = Array.from({ length: grid }, (_, i) => (i * 5) % 2);
  const texts = gradientTexts([0, 1000]);
  const dwi = await openDwi({
    dwi: directory.image("dwi.nii", { shape, ...image, values }),
    bval: directory.write("dwi.bval", texts.bval),
    bvec: directory.write("dwi.bvec", texts.bvec),
  });
  const voxels = dwi.voxels.length;
  const field = (output: OutputField): FittedField => {
    const data =
      output.dtype === "float64"
        ? new Float64Array(voxels * output.width)
        : output.dtype === "uint16"
          ? new Uint16Array(voxels)
          : new Uint8Array(voxels);
    for (let i = 0; i < data.length; i++) data[i] = output.dtype === "float64" ? i / 7 : i % 300;
    return { data, shape: [voxels, output.width], units: output.units };
  };
  const model: DwiModel = {
    name: "csd",
    dwi,
    signals: dwi.signals,
    outputs,
    kernel: { module: "", name: "csd", hash: "0123456789abcdef", parameters: null },
    options: { shOrder: 2, response: [1e-3, 2e-4] },
    warnings: [],
    files: outputs.map(({ name }) => ({
      file: `csd_${name}`,
      field: name,
      description: `The ${name}.`,
    })),
    extend: () => ({}),
  };
  return { model, maps: Object.fromEntries(outputs.map((output) => [output.name, field(output)])) };
}

function expectedMap(fit: SaveableFit, name: string, outside: number): number[] {
  const { data, shape } = fit.maps[name];
  const { voxels, geometry } = fit.model.dwi;
  const grid = geometry.shape[0] * geometry.shape[1] * geometry.shape[2];
  const out = Array<number>(grid * shape[1]).fill(outside);
  voxels.forEach((at, voxel) => {
    for (let k = 0; k < shape[1]; k++) out[k * grid + at] = data[voxel * shape[1] + k];
  });
  return out;
}

const fileNames = (ending: string) =>
  outputs.flatMap(({ name }) => [`csd_${name}.json`, `csd_${name}.${ending}`]).sort();

describe("saveMaps", () => {
  it("writes each file with its sidecar, zeros outside the mask, 255 in the status map", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory);
    const out = join(directory.path, "a/b");
    const written = await saveMaps(fit, out, { dtype: "float64", receipt: { chunks: 3 } });
    expect([...written].sort()).toEqual([...fileNames("nii.gz"), "report.json"].sort());
    expect(readdirSync(out).sort()).toEqual([...written].sort());
    const read = async (name: string) => readNifti(join(out, `csd_${name}.nii.gz`));
    const sh = await read("sh");
    expect([sh.dtype, sh.shape]).toEqual(["float64", [5, 4, 3, 6]]);
    expect([...sh.data]).toEqual(expectedMap(fit, "sh", 0));
    expect([...(await read("fa")).data]).toEqual(expectedMap(fit, "fa", 0));
    const iterations = await read("iterations");
    expect([iterations.dtype, iterations.shape]).toEqual(["uint16", [5, 4, 3]]);
    expect([...iterations.data]).toEqual(expectedMap(fit, "iterations", 0));
    const status = await read("status");
    expect(status.dtype).toBe("uint8");
    expect([...status.data]).toEqual(expectedMap(fit, "status", 255));
    expect(JSON.parse(readFileSync(join(out, "report.json"), "utf8"))).toEqual({ chunks: 3 });
    const sidecar = JSON.parse(readFileSync(join(out, "csd_sh.json"), "utf8"));
    expect(Object.keys(sidecar)).toEqual([
      "description",
      "model",
      "options",
      "units",
      "shape",
      "voxelCount",
      "data",
      "inputs",
      "kernelHash",
      "software",
      "version",
    ]);
    expect(sidecar).toMatchObject({
      model: "csd",
      shape: [5, 4, 3, 6],
      voxelCount: fit.model.dwi.voxels.length,
      data: fit.model.dwi.selection,
      inputs: fit.model.dwi.inputs,
      kernelHash: "0123456789abcdef",
      version: "0.1.0",
    });
  });

  it("writes the same bytes for the same values, wherever and whenever", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory);
    const [one, two] = ["one", "two"].map((name) => join(directory.path, name));
    await saveMaps(fit, one);
    await saveMaps(fit, two);
    await saveMaps(fit, two);
    expect(readdirSync(two).sort()).toEqual(fileNames("nii.gz"));
    for (const name of readdirSync(one)) {
      expect(readFileSync(join(one, name)).equals(readFileSync(join(two, name)))).toBe(true);
    }
    expect(readFileSync(join(one, "csd_fa.nii.gz")).readUInt32LE(4)).toBe(0);
  });

  it("writes NaN in its canonical form and float32 rounded to nearest", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory);
    const fa = fit.maps.fa.data as Float64Array;
    new DataView(fa.buffer).setBigUint64(0, 0xfff8_0000_dead_beefn, true);
    fa[1] = 0.1;
    await saveMaps(fit, directory.path, { nifti: "nii" });
    const bytes = readFileSync(join(directory.path, "csd_fa.nii"));
    const [first, second] = fit.model.dwi.voxels;
    expect(bytes.readUInt32LE(352 + 4 * first)).toBe(0x7fc00000);
    expect(bytes.readFloatLE(352 + 4 * second)).toBe(Math.fround(0.1));
  });

  it("keeps the input's geometry to the bit", async () => {
    using directory = temporaryDirectory();
    const image: Partial<TestImage> = {
      littleEndian: false,
      pixdim: [-1, 1.1, 1.2, 1.3, 4.4, 0, 0, 0],
      qform: [0.1, -0.2, 0.3, 1.7, 2.7, 3.7],
      srow: [1.1, 0.01, 0.02, 3.3, 0.03, 1.2, 0.04, 5.5, 0.05, 0.06, 1.3, 7.7],
      qformCode: 1,
      sformCode: 2,
    };
    const fit = await fitOn(directory, image);
    await saveMaps(fit, directory.path, { nifti: "nii" });
    const little = readFileSync(
      directory.image("le.nii", { shape: [5, 4, 3, 2], ...image, littleEndian: true }),
    );
    for (const name of ["csd_sh.nii", "csd_status.nii"]) {
      const bytes = readFileSync(join(directory.path, name));
      for (const [start, end] of [
        [76, 108],
        [123, 124],
        [252, 328],
      ]) {
        expect(bytes.subarray(start, end).equals(little.subarray(start, end))).toBe(true);
      }
    }
  });

  it("replaces maps of an earlier run, those with the other ending too, and nothing else", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory);
    const out = join(directory.path, "out");
    await saveMaps(fit, out);
    writeFileSync(join(out, "notes.txt"), "mine");
    writeFileSync(join(out, "csd_fa.json"), "old");
    await saveMaps(fit, out, { nifti: "nii" });
    expect(readdirSync(out).sort()).toEqual([...fileNames("nii"), "notes.txt"].sort());
    expect(readFileSync(join(out, "csd_fa.json"), "utf8")).toContain("The fa.");
  });

  it("leaves nothing behind when it fails, and the old maps in place", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory);
    const broken: SaveableFit = {
      ...fit,
      maps: { ...fit.maps, status: { ...fit.maps.status, shape: [1, 1] } },
    };
    const fresh = join(directory.path, "x/y/z");
    await expect(saveMaps(broken, fresh)).rejects.toThrow(/"status" holds .* the mask has/);
    expect(existsSync(join(directory.path, "x"))).toBe(false);

    const out = join(directory.path, "out");
    await saveMaps(fit, out);
    const before = readdirSync(out).map((name) => [name, readFileSync(join(out, name), "latin1")]);
    await expect(saveMaps(broken, out, { dtype: "float64" })).rejects.toThrow();
    expect(readdirSync(out).map((name) => [name, readFileSync(join(out, name), "latin1")])).toEqual(
      before,
    );

    // The last name cannot be replaced: those placed before it go back.
    mkdirSync(join(out, "report.json"));
    const failing = saveMaps(fit, out, { dtype: "float64", nifti: "nii", receipt: {} });
    await expect(failing).rejects.toThrow(/report\.json" is a directory where a file/);
    expect(
      readdirSync(out)
        .filter((name) => name !== "report.json")
        .map((name) => [name, readFileSync(join(out, name), "latin1")]),
    ).toEqual(before);
  });

  it("leaves nothing behind when it is aborted", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory, { shape: [90, 90, 60, 2], dtype: "uint8" });
    const out = join(directory.path, "out");
    for (const delayMs of [0, 1, 5, 20]) {
      const stop = new AbortController();
      const saving = saveMaps(fit, out, { signal: stop.signal, dtype: "float64" });
      setTimeout(() => stop.abort(), delayMs);
      await expect(saving).rejects.toMatchObject({ name: "AbortError" });
      expect(existsSync(out)).toBe(false);
    }
  });

  it.skipIf(!existsSync("/proc/self/stat"))(
    "sweeps what a dead process left, and spares the living",
    async () => {
      using directory = temporaryDirectory();
      const fit = await fitOn(directory);
      const out = join(directory.path, "out");
      await saveMaps(fit, out);
      // The name as another living process of this machine would have made it.
      const own = await StagingDirectory.open(out);
      const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
      const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
      const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
      const [, tag] = /^\.fascicle-(\w+)-/.exec(basename(own.path))!;
      const left = join(out, `.fascicle-${tag}-${child.pid}-${started}-abcdef`);
      mkdirSync(left);
      const recycled = join(out, `.fascicle-${tag}-${child.pid}-1-abcdef`);
      mkdirSync(recycled);
      await saveMaps(fit, out);
      expect([own.path, left, recycled].map((path) => existsSync(path))).toEqual([
        true,
        true,
        false,
      ]);
      await own.discard();
      child.kill("SIGKILL");
      await new Promise((done) => child.once("exit", done));
      await saveMaps(fit, out);
      expect(existsSync(left)).toBe(false);
      // Another machine's: only after a day.
      const foreign = join(out, ".fascicle-00000000-1-1-abcdef");
      mkdirSync(foreign);
      await saveMaps(fit, out);
      expect(existsSync(foreign)).toBe(true);
      utimesSync(foreign, new Date(0), new Date(0));
      await saveMaps(fit, out);
      expect(readdirSync(out).sort()).toEqual(fileNames("nii.gz"));
    },
  );
});

describe("checkWritable", () => {
  it("refuses what takes no files and leaves nothing", async () => {
    using directory = temporaryDirectory();
    await checkWritable(directory.path);
    await checkWritable(join(directory.path, "a/b/c"));
    expect(readdirSync(directory.path)).toEqual([]);
    const file = directory.write("file", "");
    await expect(checkWritable(file)).rejects.toThrow(/it is a file, not a directory/);
    await expect(checkWritable(join(file, "x"))).rejects.toThrow(/file" is a file/);
    const root = process.getuid?.() === 0;
    chmodSync(directory.path, 0o555);
    if (root) process.seteuid!(65534);
    try {
      await expect(checkWritable(join(directory.path, "x"))).rejects.toMatchObject({
        code: "INPUT",
        message: `Cannot write to "${join(directory.path, "x")}": permission denied; give another directory.`,
      });
    } finally {
      if (root) process.seteuid!(0);
      chmodSync(directory.path, 0o755);
    }
  });
});

/** A gzip file is one member: header, one deflate stream, trailer and nothing else. */
function inflateSingleMember(bytes: Buffer): Buffer {
  expect([...bytes.subarray(0, 10)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  // The deflate stream must end at the trailer: `info` says how many bytes were used.
  const { buffer, engine } = inflateRawSync(bytes.subarray(10), { info: true }) as unknown as {
    buffer: Buffer;
    engine: { bytesWritten: number };
  };
  expect(engine.bytesWritten).toBe(bytes.length - 18);
  expect(bytes.readUInt32LE(bytes.length - 4)).toBe(buffer.length);
  return buffer;
}

describe("writeNifti", () => {
  it("writes several blocks as one gzip member with the values of the plain file", async () => {
    using directory = temporaryDirectory();
    const affine = [1.25, 0, 0, -90, 0, 1.25, 0, -126, 0, 0, 1.25, -72, 0, 0, 0, 1];
    const volume = (index: number) =>
      Float64Array.from({ length: 64 * 64 * 33 }, (_, i) => Math.sin(i * (index + 1)) * 1000);
    for (const dtype of ["float32", "int16"] as const) {
      const shape = [64, 64, 33, 5];
      const path = join(directory.path, `${dtype}.nii`);
      await writeNifti(path, { shape, dtype, volume, affine });
      await writeNifti(`${path}.gz`, { shape, dtype, volume, affine });
      const plain = readFileSync(path);
      const packed = readFileSync(`${path}.gz`);
      expect(plain.length).toBe(352 + 64 * 64 * 33 * 5 * (dtype === "int16" ? 2 : 4));
      expect(inflateSingleMember(packed).equals(plain)).toBe(true);
      expect(gunzipSync(packed).equals(plain)).toBe(true);
      const image = await readNifti(`${path}.gz`);
      expect([...image.affine]).toEqual(affine);
      expect(image.data[64 * 64 * 33 + 7]).toBe(
        dtype === "int16" ? Math.round(volume(1)[7]) : Math.fround(volume(1)[7]),
      );
    }
  });

  it("writes files whose length is a whole number of blocks", async () => {
    using directory = temporaryDirectory();
    for (const extra of [-1, 0, 1]) {
      const length = 1024 * 1024 - 352 + extra;
      const path = join(directory.path, "x.nii.gz");
      const data = Uint8Array.from({ length }, (_, i) => i % 251);
      await writeNifti(path, {
        shape: [length, 1, 1],
        dtype: "uint8",
        data,
        affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
      });
      const whole = inflateSingleMember(readFileSync(path));
      expect(whole.subarray(-length).equals(Buffer.from(data))).toBe(true);
    }
  });

  it("refuses what does not fit and leaves no file", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "x.nii");
    const affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    const write = (data: number[]) =>
      writeNifti(path, { shape: [2, 1, 1], dtype: "uint8", data, affine });
    await expect(write([1, 256])).rejects.toThrow(/256 does not fit uint8/);
    await expect(write([1, Number.NaN])).rejects.toThrow(/NaN does not fit/);
    await expect(write([1])).rejects.toThrow(/needs 2 values; 1 were given/);
    expect(readdirSync(directory.path)).toEqual([]);
  });
});

const python = ["/usr/bin/python3", "python3"].find(
  (command) => spawnSync(command, ["-c", "import nibabel"]).status === 0,
);
const mrtrix = spawnSync("sh", ["-c", "command -v mrinfo mrconvert mrstats"]).status === 0;

describe("other readers", () => {
  it.skipIf(python === undefined)(
    "nibabel (skipped where not installed) reads the same",
    async () => {
      using directory = temporaryDirectory();
      const fit = await fitOn(directory, {
        shape: [64, 60, 50, 2],
        dtype: "uint8",
        qformCode: 1,
        qform: [0, 0, 1, 5, 6, 7],
      });
      await saveMaps(fit, directory.path);
      const script = `
import nibabel, numpy, json, sys
out = {}
for name in sys.argv[2:]:
    image = nibabel.load(sys.argv[1] + "/csd_" + name + ".nii.gz")
    data = numpy.asarray(image.dataobj)
    flat = data.ravel(order="F").astype(float)
    out[name] = [str(data.dtype), list(data.shape), image.affine.ravel().tolist(),
                 flat[::997].tolist(), float(flat.sum())]
source = nibabel.load(sys.argv[1] + "/dwi.nii")
out["affine"] = source.affine.ravel().tolist()
print(json.dumps(out))`;
      const names = ["sh", "iterations", "status"];
      const run = spawnSync(python!, ["-c", script, directory.path, ...names], {
        encoding: "utf8",
      });
      expect(run.stderr).toBe("");
      const read = JSON.parse(run.stdout);
      expect([...fit.model.dwi.geometry.affine]).toEqual(read.affine);
      const dtypes = ["float32", "uint16", "uint8"];
      for (const [i, name] of names.entries()) {
        const expected = expectedMap(fit, name, name === "status" ? 255 : 0).map(Math.fround);
        expect(read[name][0]).toBe(dtypes[i]);
        expect(read[name][1]).toEqual(name === "sh" ? [64, 60, 50, 6] : [64, 60, 50]);
        expect(read[name][2]).toEqual(read.affine);
        expect(read[name][3]).toEqual(expected.filter((_, at) => at % 997 === 0));
      }
    },
  );

  it.skipIf(!mrtrix)("MRtrix3 (skipped where not installed) reads the same", async () => {
    using directory = temporaryDirectory();
    const fit = await fitOn(directory, { shape: [64, 60, 50, 2], dtype: "uint8" });
    await saveMaps(fit, directory.path);
    const run = (command: string, ...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
      expect([command, status, stderr]).toEqual([
        command,
        0,
        expect.not.stringMatching(/ERROR|WARNING/),
      ]);
      return stdout.trim();
    };
    const sh = join(directory.path, "csd_sh.nii.gz");
    expect(run("mrinfo", "-size", sh)).toBe("64 60 50 6");
    expect(run("mrinfo", "-spacing", sh).split(/\s+/).slice(0, 3).map(Number)).toEqual([2, 2, 2]);
    expect(run("mrinfo", "-datatype", sh)).toBe("Float32LE");
    const copy = join(directory.path, "copy.nii");
    run("mrconvert", "-quiet", "-strides", "1,2,3,4", sh, copy);
    const ours = (await readNifti(sh)).data;
    expect([...(await readNifti(copy)).data.subarray(0, 200000)]).toEqual([
      ...ours.subarray(0, 200000),
    ]);
    const max = Number(run("mrstats", "-output", "max", join(directory.path, "csd_status.nii.gz")));
    expect(max).toBe(255);
  });
});
