import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ChunkedModel, endLocalThreads, fitChunked } from "@fascicle/runtime";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { sleep } from "../support/cli.ts";
import { ledgerIn, untilRecorded } from "../support/ledgers.ts";
import { type TestModelOptions, testModel } from "../support/models.ts";

const driver = fileURLToPath(new URL("../support/resumeDriver.mjs", import.meta.url));
const stateBefore = process.env.XDG_STATE_HOME;
/** Generous: the machine may be busy. */
const deadlineMs = 300_000;
let home = "";

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  process.env.XDG_STATE_HOME = home;
});
afterEach(() => {
  if (stateBefore === undefined) delete process.env.XDG_STATE_HOME;
  else process.env.XDG_STATE_HOME = stateBefore;
  rmSync(home, { recursive: true });
});
afterAll(endLocalThreads);

/** A model that is the same when it has been in a file of JSON. */
function plainModel(options: TestModelOptions): ChunkedModel {
  const { kernel, ...rest } = testModel(options);
  return { ...rest, kernel: JSON.parse(JSON.stringify(kernel)) };
}

function save(model: ChunkedModel): string {
  const path = join(home, "model");
  const { slabs, ...signals } = model.signals;
  writeFileSync(`${path}.json`, JSON.stringify({ ...model, signals }));
  writeFileSync(`${path}.signals`, new Uint8Array(slabs[0]));
  return path;
}

const ledgers = () => join(home, "fascicle", "ledgers");

/** Starts a driver and kills it when it has recorded something; false where it was done before. */
async function driveAndKill(path: string, engine: string, chunks: number): Promise<boolean> {
  let child: ChildProcess | undefined;
  const words = [driver, path, engine, String(chunks)];
  const isCaught = await untilRecorded(ledgers(), () => {
    child = spawn(process.execPath, words, { stdio: "inherit" });
    return child;
  });
  if (!isCaught || child === undefined || child.exitCode !== null) return false;
  const ended = new Promise((resolve) => child?.once("exit", resolve));
  child.kill("SIGKILL");
  return (await ended) === null;
}

describe("a fit whose driver is killed", () => {
  for (const engine of ["serial", "local"] as const) {
    it(
      `is continued, by another engine and with other chunks (${engine})`,
      async () => {
        const model = plainModel({ voxels: 40_000, work: 24_000 });
        const path = save(model);
        expect(await driveAndKill(path, engine, 400)).toBe(true);
        const notices: string[] = [];
        const fit = await fitChunked(model, 4_000, {
          resume: true,
          onNotice: (sentence) => notices.push(sentence),
        });
        expect(notices).toEqual([expect.stringMatching(/^continuing the fit .* % was done\.$/)]);
        expect(fit.receipt.chunksResumed).toBeGreaterThan(0);
        expect(fit.receipt.attempts.run).toBe(4_000 - fit.receipt.chunksResumed);
        expect(fit.receipt.chunks).toBe(4_000);
        expect(readdirSync(home).sort()).toEqual(["model.json", "model.signals"]);
        expect(hashOfMaps(fit)).toBe(hashOfMaps(await fitChunked(model, 40)));
      },
      deadlineMs,
    );
  }

  it(
    "takes the chunks of the first run where they are left to us",
    async () => {
      const model = plainModel({ voxels: 40_000, work: 12_000 });
      expect(await driveAndKill(save(model), "local", 321)).toBe(true);
      const fit = await fitChunked(model, "auto", { resume: true });
      expect(fit.receipt.chunks).toBe(321);
      expect(fit.receipt.voxelsByStatus).toEqual({ fitted: 40_000 });
    },
    deadlineMs,
  );

  it(
    "leaves nothing when it ends well, fails or is stopped",
    async () => {
      const resume = true;
      const slow = testModel({ voxels: 40_000, work: 24_000 });
      const controller = new AbortController();
      const fit = fitChunked(slow, 400, { resume, signal: controller.signal });
      while (ledgerIn(ledgers()) === undefined) await sleep(20);
      controller.abort(new Error("enough"));
      await expect(fit).rejects.toThrow("enough");
      expect(readdirSync(home)).toEqual([]);
      const poison = Array.from({ length: 1_000 }, (_, i) => 39_000 + i);
      const bad = testModel({ voxels: 40_000, work: 12_000, kernel: "throws", poison });
      await expect(fitChunked(bad, 400, { resume })).rejects.toThrow(/this voxel cannot be fitted/);
      expect(readdirSync(home)).toEqual([]);
      await fitChunked(testModel({ voxels: 100 }), 3, { resume });
      expect(readdirSync(home)).toEqual([]);
    },
    deadlineMs,
  );
});
