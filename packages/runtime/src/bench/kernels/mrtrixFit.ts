/** `dwi2fod csd` of MRtrix3 on the voxels of a case. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CsdParameters, type DwiModel, HEMISPHERE181 } from "@fascicle/models";
import { FitError } from "../../errors.ts";
import { readCase, signalsOf } from "./caseFiles.ts";
import { benchShOrder } from "./kernelCases.ts";
import { readImage, writeImage } from "./mrtrixImage.ts";

const coefficients = ((benchShOrder + 1) * (benchShOrder + 2)) / 2;
const watchedDirections = HEMISPHERE181.length / 3;

/**
 * MRtrix weighs its constraint by 50 response[0] / directions, we by N r0 / sqrt(181 * 362), with r0 = response[0] /
 * Y_00: with this factor both weigh it alike.
 */
const matchedNegLambda =
  (coefficients * Math.sqrt(4 * Math.PI)) /
  Math.sqrt(watchedDirections * 362) /
  (50 / watchedDirections);

export class MrtrixFit {
  readonly #directory: string;
  readonly #isMatched: boolean;
  readonly #signal: AbortSignal;
  readonly #rows: Float32Array;
  readonly #width: number;
  #repeats = 0;

  /**
   * For the case in a directory. `isMatched`: with the directions that our fit watches, its weight of the constraint
   * and none on the norm, where its own settings are others; amplitudes are pushed to 0 below 0, as with our tau 0.
   */
  constructor(directory: string, model: DwiModel, isMatched: boolean, signal: AbortSignal) {
    const { scan, volumes } = readCase(directory);
    const samples = signalsOf(scan);
    const { width, voxelCount } = scan.signals;
    this.#directory = directory;
    this.#isMatched = isMatched;
    this.#signal = signal;
    this.#width = volumes.length;
    this.#rows = new Float32Array(voxelCount * volumes.length);
    for (let i = 0; i < this.#rows.length; i++) {
      const voxel = Math.floor(i / volumes.length);
      this.#rows[i] = samples[voxel * width + volumes[i % volumes.length]];
    }
    const { bvals, bvecs } = scan.gradients;
    this.#write(
      "grad",
      volumes.map((k) => [...bvecs.subarray(3 * k, 3 * k + 3), bvals[k]]),
    );
    const { responseHarmonics } = model.kernel.parameters as CsdParameters;
    const zonal = Array.from(
      responseHarmonics,
      (value, k) => value * Math.sqrt((4 * k + 1) / (4 * Math.PI)),
    );
    this.#write("response", [zonal]);
    this.#write("watched", anglesOf(HEMISPHERE181));
    writeImage(directory, this.#image("once"), this.#rows, this.#width);
  }

  /** Seconds for so many times the voxels: those of one more time less those of one, so that starting does not count. */
  async seconds(repeats: number): Promise<number> {
    if (repeats !== this.#repeats) this.#writeMany(repeats + 1);
    this.#repeats = repeats;
    const once = await this.#run("once");
    return (await this.#run("many")) - once;
  }

  /** Its coefficients in the order of ours: the same functions, m and -m exchanged. */
  async coefficients(): Promise<Float64Array> {
    await this.#run("once");
    const theirs = readImage(this.#directory, `${this.#image("once")}-sh`);
    const ours = new Float64Array(theirs.length);
    for (let row = 0; row < theirs.length; row += coefficients) {
      for (let l = 0; l <= benchShOrder; l += 2) {
        const middle = row + (l * (l + 1)) / 2;
        for (let m = -l; m <= l; m++) ours[middle + m] = theirs[middle - m];
      }
    }
    return ours;
  }

  /** Nothing of it runs between two calls. */
  async end(): Promise<void> {}

  /** Images of both settings may be in one directory. */
  #image(name: string): string {
    return this.#isMatched ? `matched-${name}` : name;
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #write(name: string, rows: readonly (readonly number[])[]): void {
    writeFileSync(this.#path(`${name}.txt`), `${rows.map((row) => row.join(" ")).join("\n")}\n`);
  }

  #writeMany(times: number): void {
    const rows = new Float32Array(times * this.#rows.length);
    for (let time = 0; time < times; time++) rows.set(this.#rows, time * this.#rows.length);
    writeImage(this.#directory, this.#image("many"), rows, this.#width);
  }

  /** Fits one of the images and gives the seconds that the command took. */
  async #run(name: string): Promise<number> {
    const image = this.#path(this.#image(name));
    const files = [`${image}.mih`, this.#path("response.txt"), `${image}-sh.mih`];
    const matching = [
      ...["-directions", this.#path("watched.txt")],
      ...["-neg_lambda", String(matchedNegLambda), "-norm_lambda", "0"],
    ];
    const words = [
      ...["csd", ...files, "-grad", this.#path("grad.txt"), "-lmax", String(benchShOrder)],
      ...["-nthreads", "0", "-force", "-quiet", ...(this.#isMatched ? matching : [])],
    ];
    const begunMs = performance.now();
    let complaint = "";
    const code = await new Promise((resolve, reject) => {
      const child = spawn("dwi2fod", words, {
        signal: this.#signal,
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        complaint += text;
      });
      child.on("error", reject);
      child.on("close", resolve);
    });
    if (code !== 0) throw new FitError(`dwi2fod ended with ${code}: ${complaint.trim()}`);
    return (performance.now() - begunMs) / 1000;
  }
}

/** Azimuth and angle from z of each direction. */
function anglesOf(directions: Float64Array): number[][] {
  return Array.from({ length: directions.length / 3 }, (_, i) => {
    const [x, y, z] = directions.subarray(3 * i, 3 * i + 3);
    return [Math.atan2(y, x), Math.atan2(Math.sqrt(x * x + y * y), z)];
  });
}
