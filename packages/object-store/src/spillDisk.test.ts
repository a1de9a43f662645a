import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  bytesOf,
  canMountDisks,
  errorOf,
  isPending,
  mebibyte,
  SpillPlace,
} from "./spillTesting.ts";

const canMount = canMountDisks();
let place: SpillPlace;

beforeEach(() => {
  place = new SpillPlace();
});

afterEach(() => place.end());

describe("directory", () => {
  it("is asked for when it is needed, and again when there was none", async () => {
    let asked = 0;
    const space = place.space({
      directory: async () => {
        if (++asked === 1) throw new Error("no directory yet");
        return place.directory;
      },
    });
    expect(asked).toBe(0);
    expect((await errorOf(space.create("x"))).message).toBe("no directory yet");
    await space.create("x");
    await space.create("x");
    expect(asked).toBe(2);
    expect(readdirSync(place.directory)).toHaveLength(2);
  });

  it("that was removed, or its file, is told before bytes are lost; what was written can still be read", async () => {
    const space = place.space();
    const file = await space.create("x");
    const [piece] = await file.write([bytesOf(mebibyte)]);
    rmSync(file.path);
    const error = await errorOf(file.write([bytesOf(1)]));
    expect(error.code).toBe("SPILL");
    expect(error.message).toContain(file.path);
    expect(error.message).toMatch(/it was removed meanwhile: run it again/);
    const into = new Uint8Array(mebibyte);
    await file.read(piece, into);
    expect(Buffer.compare(into, bytesOf(mebibyte))).toBe(0);
    rmSync(place.directory, { recursive: true });
    const noDirectory = await errorOf(space.create("y"));
    expect(noDirectory).toMatchObject({ code: "SPILL", reason: "ENOENT" });
    await file.remove();
    await space.close();
    expect(existsSync(place.directory)).toBe(false);
  });

  it.skipIf(process.getuid?.() === 0 && !canMount)(
    "that is not writable gets a sentence",
    async () => {
      const path = canMount ? place.mount(mebibyte) : join(place.directory, "closed");
      if (canMount) spawnSync("mount", ["-o", "remount,ro", path]);
      else mkdirSync(path, { mode: 0o500 });
      const error = await errorOf(place.space({ directory: async () => path }).create("x"));
      expect(error.code).toBe("SPILL");
      expect(["EROFS", "EACCES"]).toContain(error.reason);
      expect(error.message).toMatch(/give another directory with --spill-dir/);
    },
  );

  it.skipIf(!canMount)(
    "that becomes read-only is told, and nothing that was written is lost",
    async () => {
      const path = place.mount(4 * mebibyte);
      const space = place.space({ directory: async () => path });
      const file = await space.create("x");
      const [piece] = await file.write([bytesOf(mebibyte)]);
      // Some systems refuse that while a file is open for writing.
      if (spawnSync("mount", ["-o", "remount,ro", path]).status === 0) {
        expect(await errorOf(file.write([bytesOf(1)]))).toMatchObject({ code: "SPILL" });
      }
      await file.read(piece, new Uint8Array(mebibyte));
    },
  );
});

describe.skipIf(!canMount)("a small disk", () => {
  it("that is full, with no floor, is told in a sentence, and the rest goes on", async () => {
    const path = place.mount(4 * mebibyte);
    // With such a floor nobody waits: as when another program takes what the look at the disk saw free.
    const space = place.space({ directory: async () => path, freeFloorBytes: -64 * mebibyte });
    const file = await space.create("x");
    const [piece] = await file.write([bytesOf(mebibyte)]);
    writeFileSync(join(path, "other"), bytesOf(2 * mebibyte + 500 * 1024));
    const error = await errorOf(file.write([bytesOf(mebibyte, 2)]));
    expect(error).toMatchObject({ code: "SPILL", reason: "ENOSPC" });
    expect(error.message).toMatch(/disk is full: free some space/);
    // Also when many slices of it are under way, and twice.
    for (const count of [20, 20]) {
      expect(await errorOf(file.write([bytesOf(count * mebibyte)]))).toMatchObject({
        reason: "ENOSPC",
      });
    }
    await file.read(piece, new Uint8Array(mebibyte));
    rmSync(join(path, "other"));
    const [later] = await file.write([bytesOf(mebibyte, 2)]);
    const into = new Uint8Array(mebibyte);
    await file.read(later, into);
    expect(Buffer.compare(into, bytesOf(mebibyte, 2))).toBe(0);
    await space.close();
    expect(readdirSync(path)).toEqual([]);
    expect(statfsSync(path).bavail * statfsSync(path).bsize).toBe(4 * mebibyte);
  });

  it("keeps its floor free: writers wait until others free space, and fail when nobody does", async () => {
    const path = place.mount(8 * mebibyte);
    const reasons: (string | undefined)[] = [];
    const space = place.space({
      directory: async () => path,
      freeFloorBytes: 3 * mebibyte,
      patienceMs: 400,
      onWait: (reason) => reasons.push(reason),
    });
    const file = await space.create("x");
    writeFileSync(join(path, "other"), bytesOf(3 * mebibyte));
    const [piece] = await file.write([bytesOf(mebibyte)]);
    const waiting = file.write([bytesOf(2 * mebibyte, 2)]);
    expect(await isPending(waiting, 800)).toBe(true);
    expect(reasons).toEqual([
      `only 4 MiB is free on the disk of ${path}, and 3 MiB must stay free`,
    ]);
    rmSync(join(path, "other"));
    await waiting;
    expect(reasons[1]).toBeUndefined();
    const free = statfsSync(path);
    expect(free.bavail * free.bsize).toBeGreaterThanOrEqual(3 * mebibyte);
    await file.remove();
    // Nothing of ours is there, and others have all: that is no waiting with an end.
    writeFileSync(join(path, "other"), bytesOf(6 * mebibyte));
    const lonely = await space.create("y");
    const error = await errorOf(lonely.write([bytesOf(mebibyte)]));
    expect(error.message).toMatch(/only 2 MiB is free .* and 3 MiB must stay free, and nothing/);
    file.free(piece);
  });

  it("never sees less free than the floor, whatever is written at once", async () => {
    const path = place.mount(16 * mebibyte);
    const floor = 4 * mebibyte;
    const space = place.space({ directory: async () => path, freeFloorBytes: floor });
    const file = await space.create("x");
    let leastFree = Number.POSITIVE_INFINITY;
    await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const [piece] = await file.write([bytesOf(900 * 1024 + n, n)]);
        const { bavail, bsize } = statfsSync(path);
        leastFree = Math.min(leastFree, bavail * bsize);
        file.free(piece);
      }),
    );
    expect(leastFree).toBeGreaterThanOrEqual(floor);
    expect(readFileSync(file.path).length).toBeLessThanOrEqual(12 * mebibyte);
  });
});
