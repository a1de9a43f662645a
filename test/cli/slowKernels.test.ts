/** Where Node.js has no WebAssembly: the command says so once, and its maps have the same bytes. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { dwiOptions, Home } from "../support/cli.ts";

const home = new Home();
const scan = [...dwiOptions(home.file("scan/dwi")), "--mask", home.file("scan/mask.nii.gz")];

beforeAll(async () => {
  const words = ["phantom", "--out", home.file("scan"), "--size", "8,8,8", "--scheme", "2shell"];
  expect((await home.run(words)).code).toBe(0);
});
afterAll(async () => expect(await home.close()).toEqual([]));

it.each([
  ["csd", ["--sh-order", "4", "--response", "0.0017,0.0003,0.0003,1000"], "csd_sh.nii.gz"],
  ["freewater", [], "freewater_params.nii.gz"],
  ["dti", [], "dti_evals.nii.gz"],
])(
  "%s gives the same bytes without WebAssembly, and says that it is slow",
  async (model, options, map) => {
    const runFit = async (out: string, environment: NodeJS.ProcessEnv) => {
      const words = ["fit", model, ...scan, ...options, "--out", home.file(out)];
      const ended = await home.run(words, environment);
      expect(ended.code, ended.stderr).toBe(0);
      const told = ended.stderr.match(/warning: This Node\.js cannot run WebAssembly/g) ?? [];
      return { told: told.length, bytes: readFileSync(home.file(out, map)) };
    };
    const fast = await runFit(`${model}-fast`, {});
    const slow = await runFit(`${model}-slow`, { NODE_OPTIONS: "--jitless" });
    expect([fast.told, slow.told]).toEqual([0, 1]);
    expect(Buffer.compare(fast.bytes, slow.bytes)).toBe(0);
  },
);
