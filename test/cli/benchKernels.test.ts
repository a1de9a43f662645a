/** `runtime bench kernels` as a command: its table, its object, its peers. */
import { spawnSync } from "node:child_process";
import { afterAll, describe, expect, it } from "vitest";
import { dwiOptions, fixtures, Home } from "../support/cli.ts";

const home = new Home();
afterAll(async () => {
  expect(await home.close()).toEqual([]);
});

const bench = (...words: string[]) => home.run(["bench", "kernels", "--rounds", "1", ...words]);
const scan = dwiOptions(`${fixtures}data/real_64dir`, ".nii");
const hasDipy = ["python3", "/usr/bin/python3"].some(
  (python) => spawnSync(python, ["-c", "import dipy"]).status === 0,
);

describe("runtime bench kernels", () => {
  it("measures every case of a model and says on what machine, as one object", async () => {
    const words = ["--models", "dti", "--voxels", "20", "--peers", "none", "--json"];
    const { code, stdout } = await bench(...words);
    expect(code).toBe(0);
    const { machine, cases, rounds } = JSON.parse(stdout);
    expect(machine).toMatchObject({ node: process.version, peers: [] });
    expect(rounds).toBe(1);
    expect(cases).toHaveLength(1);
    expect(cases[0]).toMatchObject({ name: "dti, wls", voxels: 20, volumes: 288, peers: [] });
    expect(cases[0].fascicle.median).toBe(cases[0].fascicle.rates[0]);
    expect(cases[0].fascicle.median).toBeGreaterThan(0);
  });

  it("takes a scan, leaves out what it does not allow, and says who is not installed", async () => {
    const words = [...scan, "--rounds", "1", "--voxels", "10", "--python", "/bin/false"];
    const { code, stdout } = await home.run(["bench", "kernels", ...words], { PATH: "/nowhere" });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\| csd, order 8 \| real_64dir\.nii \| [\d,]+ \|/m);
    expect(stdout).toMatch(/^freewater, nls was left out: .*two shells/m);
    expect(stdout).toContain("| all |  |  | DIPY: not installed |  |  |  |");
    expect(stdout).toContain("| csd |  |  | MRtrix3: not installed |  |  |  |");
  });

  it.skipIf(!hasDipy)("gives DIPY's answers (skipped where it is not installed)", async () => {
    const words = ["--models", "csd", "--peers", "dipy", "--voxels", "10", "--json"];
    const { code, stdout } = await bench(...words);
    expect(code).toBe(0);
    const { cases } = JSON.parse(stdout);
    expect(cases).toHaveLength(4);
    for (const { name, peers } of cases) {
      expect(peers).toHaveLength(1);
      expect(peers[0]).toMatchObject({ peer: "DIPY" });
      expect(peers[0].ratio).toBeGreaterThan(0);
      const limit = name.endsWith("float32") ? 1e-5 : 1e-10;
      expect(peers[0].answers.figures.relativeL2Worst).toBeLessThan(limit);
    }
  });

  it.each([
    [["--models", "noddi"], "noddi"],
    [["--rounds", "0"], "whole number"],
    [["--python", "/nowhere/python"], "/nowhere/python cannot be run"],
    [["--mask", "mask.nii"], "give it with --dwi"],
    [["--dwi", "dwi.nii"], "give --bval and --bvec"],
  ])("refuses %j in a sentence", async (words, reason) => {
    const { code, stdout, stderr } = await home.run(["bench", "kernels", ...words]);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(reason);
    expect(stderr).not.toContain("    at ");
  });
});
