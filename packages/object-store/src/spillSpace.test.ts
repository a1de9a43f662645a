import { openSync, readdirSync, statSync, truncateSync, writeSync } from "node:fs";
import type { ScratchPiece } from "@fascicle/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SpillDamageError, SpillError } from "./spillErrors.ts";
import { bytesOf, errorOf, isPending, mebibyte, SpillPlace } from "./spillTesting.ts";

let place: SpillPlace;

beforeEach(() => {
  place = new SpillPlace();
});

afterEach(() => place.end());

describe("SpillFile", () => {
  it("gives back what it was given: large parts and small, empty and shared ones, in many calls at once", async () => {
    const file = await place.space().create("signals");
    const shared = new Uint8Array(new SharedArrayBuffer(5 * mebibyte + 3));
    shared.set(bytesOf(shared.length, 5));
    const calls = [
      [bytesOf(17 * mebibyte + 1)],
      [shared, new Uint8Array(0), bytesOf(3), bytesOf(2 * mebibyte, 9)],
      Array.from({ length: 3000 }, (_, n) => bytesOf(n % 700, n)),
      [],
      [new Uint8Array(0)],
    ];
    const pieces = await Promise.all(calls.map((parts) => file.write(parts)));
    const all: ScratchPiece[] = [];
    for (const [n, parts] of calls.entries()) {
      expect(pieces[n].map(({ bytes }) => bytes)).toEqual(parts.map(({ length }) => length));
      all.push(...pieces[n].filter(({ bytes }) => bytes > 0));
      const into = parts.map(({ length }) => new Uint8Array(new SharedArrayBuffer(length)));
      await Promise.all(into.map((bytes, k) => file.read(pieces[n][k], bytes)));
      for (const [k, part] of parts.entries()) {
        expect(Buffer.compare(Buffer.from(into[k].buffer), part)).toBe(0);
      }
    }
    all.sort((a, b) => a.offset - b.offset);
    for (let n = 1; n < all.length; n++) {
      expect(all[n].offset).toBeGreaterThanOrEqual(all[n - 1].offset + all[n - 1].bytes);
    }
  });

  it("is readable by its owner alone, counts what it takes, and is gone when it is removed", async () => {
    const space = place.space();
    const file = await space.create("../odd name");
    expect(file.path.startsWith(`${place.directory}/`)).toBe(true);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
    await file.write([bytesOf(100), bytesOf(mebibyte)]);
    expect(statSync(file.path).size).toBe(mebibyte + 100);
    expect(space.usedBytes).toBe(mebibyte + 100);
    await Promise.all([file.remove(), file.remove()]);
    expect(readdirSync(place.directory)).toEqual([]);
    expect([space.usedBytes, space.takenBytes, space.peakBytes]).toEqual([0, 0, mebibyte + 100]);
    expect(await errorOf(file.write([bytesOf(1)]))).toBeInstanceOf(SpillError);
    expect(
      await errorOf(file.read({ offset: 0, bytes: 1, crc: 0 }, new Uint8Array(1))),
    ).toBeInstanceOf(SpillError);
    file.free({ offset: 0, bytes: 100, crc: 0 });
  });

  it("uses the place of freed pieces again, and refuses to free what is not a piece", async () => {
    const space = place.space();
    const file = await space.create("x");
    const pieces = await file.write([1, 2, 3, 4].map((seed) => bytesOf(mebibyte, seed)));
    file.free(pieces[1]);
    expect(() => file.free(pieces[1])).toThrow(/no piece/);
    const [again] = await file.write([bytesOf(mebibyte, 5)]);
    expect(again.offset).toBe(pieces[1].offset);
    file.free(pieces[2]);
    file.free(pieces[3]);
    // Two that touch have room for one of twice the size.
    const [double] = await file.write([bytesOf(2 * mebibyte, 6)]);
    expect(double.offset).toBe(pieces[2].offset);
    expect(space.usedBytes).toBe(4 * mebibyte);
    const into = new Uint8Array(2 * mebibyte);
    await file.read(double, into);
    expect(Buffer.compare(into, bytesOf(2 * mebibyte, 6))).toBe(0);
  });

  it("leaves the place of a piece alone while it is read, though it was freed", async () => {
    const file = await place.space().create("x");
    const [piece] = await file.write([bytesOf(16 * mebibyte, 1)]);
    const into = new Uint8Array(16 * mebibyte);
    const reading = file.read(piece, into);
    file.free(piece);
    const [other] = await file.write([bytesOf(16 * mebibyte, 2)]);
    await reading;
    expect(other.offset).not.toBe(piece.offset);
    const [third] = await file.write([bytesOf(16 * mebibyte, 3)]);
    expect(third.offset).toBe(piece.offset);
  });

  it("gives the end of a file back to the disk when nobody needs it", async () => {
    const space = place.space({ limitBytes: 200 * mebibyte });
    const file = await space.create("x");
    const first = await file.write([bytesOf(mebibyte)]);
    const large = new Uint8Array(70 * mebibyte);
    const [piece] = await file.write([large]);
    file.free(piece);
    const [next] = await file.write([bytesOf(mebibyte, 2)]);
    expect(statSync(file.path).size).toBe(2 * mebibyte);
    expect(space.usedBytes).toBe(2 * mebibyte);
    for (const [n, kept] of [...first, next].entries()) {
      const into = new Uint8Array(mebibyte);
      await file.read(kept, into);
      expect(Buffer.compare(into, bytesOf(mebibyte, n + 1))).toBe(0);
    }
  });

  it("tells a flipped bit, another place and a truncated file from what was written", async () => {
    const file = await place.space().create("x");
    const pieces = await file.write([bytesOf(3 * mebibyte), bytesOf(5 * mebibyte, 2)]);
    const into = pieces.map(({ bytes }) => new Uint8Array(bytes));
    const descriptor = openSync(file.path, "r+");
    writeSync(descriptor, Uint8Array.of(bytesOf(100)[99] ^ 1), 0, 1, 99);
    const flipped = await errorOf(file.read(pieces[0], into[0]));
    expect(flipped).toBeInstanceOf(SpillDamageError);
    expect(flipped.code).toBe("SPILL_DAMAGED");
    expect(flipped.message).toContain(file.path);
    expect(flipped.message).toMatch(/does not hold what was written/);
    await file.read(pieces[1], into[1]);
    const moved = { ...pieces[1], offset: pieces[1].offset - 1 };
    expect(await errorOf(file.read(moved, into[1]))).toBeInstanceOf(SpillDamageError);
    truncateSync(file.path, 4 * mebibyte);
    const cut = await errorOf(file.read(pieces[1], into[1]));
    expect(cut).toBeInstanceOf(SpillDamageError);
    expect(cut.message).toMatch(/ends too early/);
  });

  it("never holds up others, however large a part or many parts are", async () => {
    const space = place.space({ limitBytes: 2 ** 31 });
    const file = await space.create("x");
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    turn();
    const [piece] = await file.write([new Uint8Array(256 * mebibyte)]);
    const writeTurns = turns;
    await file.read(piece, new Uint8Array(256 * mebibyte));
    isOver = true;
    // A turn for each 4 MiB that are summed, at least.
    expect(writeTurns).toBeGreaterThan(60);
    expect(turns - writeTurns).toBeGreaterThan(60);
  });
});

describe("limit", () => {
  it("refuses at once what can never fit", async () => {
    const space = place.space({ limitBytes: mebibyte });
    const file = await space.create("x");
    const error = await errorOf(file.write([bytesOf(mebibyte), bytesOf(1)]));
    expect(error.code).toBe("SPILL");
    expect(error.message).toMatch(/1 MiB may be: raise --spill-limit/);
    expect(space.usedBytes).toBe(0);
    expect(await file.write([bytesOf(mebibyte)])).toHaveLength(1);
  });

  it("makes writers wait until bytes are freed, says why, and is never passed", async () => {
    const reasons: (string | undefined)[] = [];
    const space = place.space({
      limitBytes: 4 * mebibyte,
      onWait: (reason) => reasons.push(reason),
    });
    const files = [await space.create("a"), await space.create("b")];
    const [first, second] = await files[0].write([1, 2].map((n) => bytesOf(mebibyte, n)));
    await files[0].write([bytesOf(mebibyte, 3)]);
    const large = files[1].write([bytesOf(2 * mebibyte, 4)]);
    expect(await isPending(large)).toBe(true);
    expect(reasons).toEqual(["the spill limit of 4 MiB is reached"]);
    // A smaller one that fits goes ahead: what waits may depend on it.
    const [small] = await files[1].write([bytesOf(mebibyte, 5)]);
    files[0].free(first);
    const reuse = files[0].write([bytesOf(mebibyte, 6)]);
    expect((await reuse)[0].offset).toBe(first.offset);
    files[1].free(small);
    expect(await isPending(large)).toBe(true);
    await files[0].remove();
    const [piece] = await large;
    const into = new Uint8Array(2 * mebibyte);
    await files[1].read(piece, into);
    expect(Buffer.compare(into, bytesOf(2 * mebibyte, 4))).toBe(0);
    expect(reasons).toEqual(["the spill limit of 4 MiB is reached", undefined]);
    expect(space.peakBytes).toBeLessThanOrEqual(4 * mebibyte);
    files[0].free(second);
  });

  it("lets 40 writers through a limit of 4, each as the others free", async () => {
    const space = place.space({ limitBytes: 4 * mebibyte });
    const files = await Promise.all([1, 2, 3].map(() => space.create("x")));
    let mostOnDisk = 0;
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const file = files[n % 3];
        const bytes = bytesOf(mebibyte - (n % 5) * 1000, n);
        const [piece] = await file.write([bytes]);
        const onDisk = files.reduce((sum, { path }) => sum + statSync(path).size, 0);
        mostOnDisk = Math.max(mostOnDisk, onDisk);
        const into = new Uint8Array(bytes.length);
        await file.read(piece, into);
        expect(Buffer.compare(into, bytes)).toBe(0);
        file.free(piece);
      }),
    );
    expect(mostOnDisk).toBeLessThanOrEqual(4 * mebibyte);
    expect(space.takenBytes).toBe(0);
  });

  it("ends the waiting, with the reason, when nothing will be freed", async () => {
    let mayFree = true;
    const space = place.space({
      limitBytes: mebibyte,
      patienceMs: 300,
      mayFree: () => mayFree,
    });
    const file = await space.create("x");
    await file.write([bytesOf(mebibyte)]);
    const waiting = [file.write([bytesOf(1)]), file.write([bytesOf(2)])];
    expect(await isPending(Promise.race(waiting), 1500)).toBe(true);
    mayFree = false;
    const errors = await Promise.all(waiting.map(errorOf));
    for (const error of errors) {
      expect(error.code).toBe("SPILL");
      expect(error.message).toMatch(/spill limit of 1 MiB is reached, and nothing that is there/);
    }
  });

  it("ends the waiting when the file is removed or the space closed", async () => {
    const space = place.space({ limitBytes: mebibyte });
    const [first, second] = [await space.create("a"), await space.create("b")];
    await first.write([bytesOf(mebibyte)]);
    const waiting = errorOf(second.write([bytesOf(1)]));
    await second.remove();
    expect((await waiting).message).toMatch(/has ended/);
    const other = errorOf(first.write([bytesOf(1)]));
    await Promise.all([space.close(), space.close()]);
    expect(await other).toBeInstanceOf(SpillError);
    expect(await errorOf(space.create("c"))).toBeInstanceOf(SpillError);
    expect(readdirSync(place.directory)).toEqual([]);
    expect(space.usedBytes).toBe(0);
  });
});
