/** Fit after fit in one process: it stays as large as it is, and nothing is left on disk. */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Home } from "../support/cli.ts";

const run = promisify(execFile);
const manyFits = fileURLToPath(new URL("../support/manyFits.mjs", import.meta.url));
const bench = fileURLToPath(new URL("../../bench/consecutive.mjs", import.meta.url));
const voxels = 1_500_000;
/** Signals and results of one of these fits. */
const fitBytes = voxels * 45;

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

const node = (words: readonly string[]) =>
  run(process.execPath, words, { env: { ...process.env, ...home.environment } });

describe("consecutive fits in one process", () => {
  it.each(["memory", "disk"])(
    "leave it as large as it is (%s)",
    async (place) => {
      const spill = home.file("spill");
      mkdirSync(spill);
      const { stdout } = await node([manyFits, place, "14", String(voxels), spill]);
      const resident = JSON.parse(stdout) as number[];
      const before = Math.max(...resident.slice(2, 6));
      const after = Math.max(...resident.slice(-4));
      // Eight fits lie between: a thread that kept the half of what each had would be seen.
      expect(after - before).toBeLessThan(2.5 * fitBytes);
    },
    180_000,
  );

  it("have a tenth of the memory that they need, stay within the disk's limit and leave nothing", async () => {
    const size = ["--size", "24,24,24", "--csd", "2", "--freewater", "1"];
    const { stdout } = await node([bench, ...size]);
    expect(stdout).not.toMatch(/BROKEN/);
    expect(stdout.match(/left when all has ended: nothing/g)).toHaveLength(2);
  }, 300_000);
});
