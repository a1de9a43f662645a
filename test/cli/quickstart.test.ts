import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readNifti } from "@fascicle/models";
import { afterAll, describe, expect, it } from "vitest";
import { dwiOptions, fixtures, Home } from "../support/cli.ts";

const home = new Home();
afterAll(async () => {
  expect(await home.close()).toEqual([]);
});

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];

/** Each line of progress names its step, and no step and no percentage within one goes back. */
function expectStepsForward(stderr: string, steps: number): void {
  const lines = stderr.split("\n").filter((line) => line.includes(" %  "));
  const places = lines.map((line) => {
    const [, step, of, percent] = /^step (\d) of (\d) +(\d+) % /.exec(line)!.map(Number);
    expect(of).toBe(steps);
    return 1000 * step + percent;
  });
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(new Set(places.map((place) => Math.floor(place / 1000))).size).toBeGreaterThan(2);
}

describe("the quickstart", () => {
  it("makes a phantom, fits it, and finds its truth again", async () => {
    const out = home.file("quickstart");
    const ended = await home.run(["quickstart", "--out", out]);
    expect(ended.code).toBe(0);
    expectStepsForward(ended.stderr, 5);
    expect(ended.stdout).toMatch(/report {2}file:\/\/.*report\.html/);
    const { fits } = JSON.parse(readFileSync(`${out}/report.json`, "utf8"));
    expect(fits.map((fit: { model: string }) => fit.model)).toEqual(["csd", "freewater"]);
    for (const fit of fits) {
      expect(fit.voxelsByStatus.fitted).toBeGreaterThan(0.99 * fit.voxels);
      expect(fit.bytesLeft).toBe(0);
    }
    const values = async (name: string) => (await readNifti(`${out}/${name}.nii.gz`)).data;
    const mask = await values("phantom/mask");
    const fibres = await values("phantom/true_fibres");
    const [f, trueF] = [await values("freewater/freewater_f"), await values("phantom/true_f")];
    const [fa, trueFa] = [await values("freewater/freewater_fa"), await values("phantom/true_fa")];
    const errors = (fitted: Float64Array, truth: Float64Array, counts: (at: number) => boolean) =>
      median([...fitted].flatMap((value, at) => (counts(at) ? [Math.abs(value - truth[at])] : [])));
    const isFibre = (at: number) => mask[at] === 1 && fibres[at] === 1;
    expect(errors(f, trueF, isFibre)).toBeLessThan(0.03);
    expect(errors(f, trueF, (at) => mask[at] === 1 && trueF[at] > 0.95)).toBeLessThan(0.02);
    expect(errors(fa, trueFa, isFibre)).toBeLessThan(0.03);
    const page = readFileSync(`${out}/report.html`, "utf8");
    for (const word of ["GFA", "FA", "MD", "Truth", "Error of f", "Efficiency", "data:image/png"]) {
      expect(page).toContain(word);
    }
    expect(page).not.toMatch(/(src|href)="https?:/);
    expect(readdirSync(out).sort()).toEqual([
      "csd",
      "freewater",
      "phantom",
      "report.html",
      "report.json",
    ]);
  });

  it("does the same for one's own scan, and says what cannot be fitted to it", async () => {
    // Where an earlier quickstart was: what is not made again must not be taken for this scan's.
    const out = home.file("quickstart");
    const data = dwiOptions(`${fixtures}data/real_64dir`, ".nii");
    const ended = await home.run(["quickstart", ...data, "--out", out]);
    expect(ended.code).toBe(0);
    expectStepsForward(ended.stderr, 4);
    expect(ended.stdout).toMatch(/free water is left out: .*only one b-value/);
    expect(existsSync(`${out}/csd/csd_sh.nii.gz`)).toBe(true);
    expect(readdirSync(out).sort()).toEqual(["csd", "report.html", "report.json"]);
    const multi = [...dwiOptions(`${fixtures}data/real_101dir_dsi`), "--max-b", "2100"];
    const both = await home.run(["quickstart", ...multi, "--out", home.file("multi")]);
    expect(both.stderr).not.toMatch(/\n\s+at /);
  });

  it("leaves nothing when it is interrupted", async () => {
    const out = home.file("interrupted");
    const running = home.start(["quickstart", "--out", out, "--size", "64,64,40"]);
    await running.saw(/fitting freewater/, 40_000);
    running.signal("SIGINT");
    expect(await running.ended).toMatchObject({ code: 130 });
    expect(existsSync(out)).toBe(false);
  });

  it("refuses half a scan", async () => {
    const ended = await home.run(["quickstart", "--dwi", "x.nii", "--out", home.file("half")]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/--dwi, --bval and --bvec together/);
  });
});
