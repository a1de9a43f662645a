import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Scratch } from "./scratch.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "scratch-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const bytes = (value: number, count = 1_000) => new Uint8Array(count).fill(value);

describe("scratch", () => {
  it("has a directory of its own from the first file to the last, and no longer", async () => {
    const scratch = new Scratch({ spillDir: folder });
    for (let round = 0; round < 3; round++) {
      expect(readdirSync(folder)).toEqual([]);
      const [one, other] = [await scratch.create("one"), await scratch.create("other")];
      const [piece] = await one.write([bytes(round)]);
      const [directory] = readdirSync(folder);
      expect(statSync(join(folder, directory)).mode & 0o777).toBe(0o700);
      expect(scratch.use.usedBytes).toBeGreaterThanOrEqual(1_000);
      await other.remove();
      const back = bytes(9);
      await one.read(piece, back);
      expect(back).toEqual(bytes(round));
      await one.remove();
      await one.remove();
    }
    expect(readdirSync(folder)).toEqual([]);
    expect(scratch.use.usedBytes).toBe(0);
    expect(scratch.use.peakBytes).toBeGreaterThanOrEqual(1_000);
  });

  it("goes whole when it is removed, whatever is in it, and can be used again", async () => {
    const scratch = new Scratch({ spillDir: folder });
    const file = await scratch.create("one");
    await file.write([bytes(1)]);
    await scratch.remove();
    expect(readdirSync(folder)).toEqual([]);
    await expect(Promise.resolve(file.write([bytes(1)]))).rejects.toMatchObject({ code: "SPILL" });
    await (await scratch.create("again")).write([bytes(2)]);
    await scratch.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("says why writing waits, and gives up where nobody can make room", async () => {
    const waits: (string | undefined)[] = [];
    const onWait = (reason: string | undefined) => waits.push(reason);
    const scratch = new Scratch({
      spillDir: folder,
      spillLimitBytes: 1_500,
      patienceMs: 100,
      onWait,
    });
    const file = await scratch.create("one");
    await file.write([bytes(1)]);
    const late = Promise.resolve(file.write([bytes(2)]));
    await expect(late).rejects.toMatchObject({ code: "SPILL" });
    expect(waits[0]).toMatch(/limit/);
    expect(waits.at(-1)).toBeUndefined();
    await scratch.remove();
  });

  it("leaves nothing where its directory cannot be made", async () => {
    const scratch = new Scratch({ spillDir: join(folder, "missing") });
    await expect(scratch.create("one")).rejects.toMatchObject({ code: "SPILL_DIRECTORY" });
    await scratch.remove();
  });
});
