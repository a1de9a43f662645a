import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { FileStorage } from "./fileStorage.ts";
import type { LogStorage } from "./logStorage.ts";
import { decodeLog, encodeLogHeader, encodeRecords, JournalVersionError } from "./recordFormat.ts";
import { type JournalError, RecordLog } from "./recordLog.ts";
import { TornStorage } from "./tornStorage.ts";

const folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Numbers in [0, 1) that a seed decides. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const calm = { random: () => 0 };
const refuse = (error: JournalError): void => {
  throw error;
};

async function openLog(storage: LogStorage, onError = refuse) {
  const salt = new Uint8Array(8);
  return RecordLog.open({ storage, name: "the log", onError, salt, batchMs: 0 });
}

async function written(records: readonly unknown[]): Promise<Uint8Array> {
  const storage = new TornStorage(calm);
  const { log } = await openLog(storage);
  for (const record of records) log.append(record);
  await log.close();
  return storage.content;
}

const anyRecord = fc.oneof(
  fc.integer(),
  fc.string(),
  fc.record({ type: fc.constant("settled"), start: fc.nat(), end: fc.nat() }),
  fc.uint8Array({ maxLength: 2_000 }).map((bytes) => ({ type: "job", bytes: [...bytes] })),
);
const anyRecords = fc.array(anyRecord, { maxLength: 12 });

describe("a log of records", () => {
  it("gives back what was appended, in order, and goes on from there", async () => {
    const path = join(folder, "journal");
    const first = await openLog(await FileStorage.open(path));
    expect(first.records).toEqual([]);
    first.log.append({ a: 1, numbers: Float64Array.of(1, 2) });
    first.log.append("two");
    await first.log.flushed();
    expect(decodeLog(readFileSync(path), path).records).toHaveLength(2);
    await first.log.close();
    const second = await openLog(await FileStorage.open(path));
    expect(second.records).toEqual([{ a: 1, numbers: Float64Array.of(1, 2) }, "two"]);
    expect(second.note).toBeUndefined();
    second.log.append(3);
    await second.log.close();
    const third = await openLog(await FileStorage.open(path));
    expect(third.records.slice(1)).toEqual(["two", 3]);
    await third.log.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("takes a record as it is at the call, and writes many at once", async () => {
    const storage = new TornStorage(calm);
    const { log } = await openLog(storage);
    const before = storage.operations;
    const record = { n: 0 };
    for (record.n = 0; record.n < 500; record.n++) log.append(record);
    await log.flushed();
    expect(storage.operations - before).toBe(2);
    expect(decodeLog(storage.content, "").records).toEqual(
      Array.from({ length: 500 }, (_, n) => ({ n })),
    );
    await log.close();
  });

  it("asks for what its user gathered with each batch", async () => {
    const storage = new TornStorage(calm);
    let gathered = ["x"];
    const gather = () => gathered.splice(0);
    const { log } = await RecordLog.open({ storage, name: "", onError: refuse, gather });
    log.wake();
    await log.flushed();
    log.append("y");
    gathered = ["z"];
    await log.close();
    expect(decodeLog(storage.content, "").records).toEqual(["x", "y", "z"]);
  });

  it("is rewritten whole, in a file of its own, and appended to afterwards", async () => {
    const path = join(folder, "compacted");
    const { log } = await openLog(await FileStorage.open(path));
    for (let i = 0; i < 100; i++) log.append({ i });
    await log.flushed();
    const sizeBefore = log.sizeBytes;
    log.append("lost in the rewrite, as it belongs to what is replaced");
    const done = log.rewrite(["kept"]);
    log.append("later");
    await done;
    log.append("last");
    await log.close();
    expect(log.sizeBytes).toBeLessThan(sizeBefore);
    expect(decodeLog(readFileSync(path), path).records).toEqual(["kept", "later", "last"]);
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  it("of a newer version is refused and left as it is", async () => {
    const path = join(folder, "newer");
    const { bytes } = encodeLogHeader(new Uint8Array(8));
    const newer = Buffer.from(bytes);
    newer.writeUInt32LE(7, 8);
    const { crc32 } = await import("node:zlib");
    newer.writeUInt32LE(crc32(newer.subarray(0, 12)), 12);
    writeFileSync(path, newer);
    const storage = await FileStorage.open(path);
    await expect(openLog(storage)).rejects.toThrow(JournalVersionError);
    await storage.close();
    expect(readFileSync(path).equals(newer)).toBe(true);
    // A version that changed by accident is damage.
    newer[9] ^= 1;
    expect(decodeLog(newer, path).ending).toBe("damaged");
  });

  it("says once that its disk is full, and goes on without it", async () => {
    const storage = new TornStorage({ ...calm, limitBytes: 2_000 });
    const errors: string[] = [];
    const { log } = await openLog(storage, (error) => void errors.push(error.message));
    log.append("small");
    await log.flushed();
    log.append(new Uint8Array(2_500));
    await expect(log.flushed()).rejects.toThrow(/no space is left/);
    log.append("more");
    await expect(log.flushed()).rejects.toThrow(/the log cannot be written/);
    await log.close();
    expect(errors).toEqual(["the log cannot be written: no space is left on its disk."]);
    expect(decodeLog(storage.content, "").records).toEqual(["small"]);
  });
});

describe("whatever happens to the bytes", () => {
  it("a cut anywhere leaves a beginning of what was written, said to be torn", async () => {
    await fc.assert(
      fc.asyncProperty(anyRecords, fc.double({ min: 0, max: 1, noNaN: true }), async (all, at) => {
        const bytes = await written(all);
        const cut = bytes.slice(0, Math.floor(at * bytes.length));
        const { log, records, cutBytes, note } = await openLog(new TornStorage(calm, cut));
        expect(records).toEqual(all.slice(0, records.length));
        expect(note === undefined).toBe(cutBytes === 0);
        if (note !== undefined) expect(note).toMatch(/never written whole/);
        await log.close();
      }),
      { numRuns: 200 },
    );
  });

  it("a changed byte anywhere leaves what stands before it and nothing else", async () => {
    await fc.assert(
      fc.asyncProperty(
        anyRecords,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (all, n, x) => {
          const bytes = await written(all);
          const at = n % bytes.length;
          bytes[at] ^= x;
          const storage = new TornStorage(calm, bytes);
          const { log, records, cutBytes } = await openLog(storage);
          expect(records).toEqual(all.slice(0, records.length));
          // The salt is of no account to a log without records.
          if (all.length > 0 || at < 16) expect(cutBytes).toBeGreaterThan(0);
          if (at >= 24) expect(at).toBeGreaterThanOrEqual(bytes.length - cutBytes);
          log.append("after");
          await log.close();
          expect(decodeLog(storage.content, "").records).toEqual([...records, "after"]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("a record that was moved, or is of another log, is not believed", () => {
    const { bytes: header, chain } = encodeLogHeader(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const a = encodeRecords([Uint8Array.of(1)], chain);
    const b = encodeRecords([Uint8Array.of(2)], a.chain);
    const other = encodeLogHeader(Uint8Array.of(9, 2, 3, 4, 5, 6, 7, 8)).bytes;
    const recordsOf = (...parts: Buffer[]) => decodeLog(Buffer.concat(parts), "").records;
    expect(recordsOf(header, a.bytes, b.bytes)).toEqual([1, 2]);
    expect(recordsOf(header, b.bytes, a.bytes)).toEqual([]);
    expect(recordsOf(header, a.bytes, a.bytes)).toEqual([1]);
    expect(recordsOf(other, a.bytes)).toEqual([]);
  });

  it("damage in the middle is told apart from a torn end", async () => {
    const bytes = await written(["one", "two", "three"]);
    const damaged = bytes.slice();
    damaged[34] ^= 1;
    expect(decodeLog(damaged, "the log").ending).toBe("damaged");
    const zeros = Buffer.concat([bytes, new Uint8Array(100)]);
    expect(decodeLog(zeros, "the log")).toMatchObject({ ending: "torn", cutBytes: 100 });
  });
});

describe("whenever the machine dies", () => {
  /** Appends, flushes and rewrites as a seed says until the storage crashes; gives what was flushed and what came after. */
  async function live(storage: TornStorage, random: () => number, from: number) {
    let durable = decodeLog(storage.content, "").records as number[];
    let all = [...durable];
    const replaced: number[][] = [];
    let next = from;
    try {
      const { log, records } = await openLog(storage, () => {});
      expect(records).toEqual(durable);
      for (let step = 0; step < 12; step++) {
        const count = Math.floor(random() * 4);
        for (let i = 0; i < count; i++) {
          log.append(next);
          all.push(next++);
        }
        if (random() < 0.2) {
          const kept = all.filter((value) => value % 3 !== 0);
          replaced.push([...all]);
          all = kept;
          await log.rewrite(kept);
        } else {
          await log.flushed();
        }
        durable = [...all];
        replaced.length = 0;
      }
    } catch (error) {
      if (!storage.isCrashed) throw error;
    }
    return { durable, possible: [all, ...replaced] };
  }

  it("only what was not flushed is lost, at any operation, again and again", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(fc.nat(30), { maxLength: 3 }), async (seed, at) => {
        const random = randomFrom(seed);
        let content = new Uint8Array(0);
        for (const [life, crashAt] of [...at, 1_000].entries()) {
          const storage = new TornStorage({ random, crashAt }, content);
          const { durable, possible } = await live(storage, random, life * 1_000);
          content = new Uint8Array(storage.crash());
          const { records } = decodeLog(content, "");
          const isPrefix = (of: number[]) => records.every((value, i) => value === of[i]);
          expect(possible.some((all) => isPrefix(all))).toBe(true);
          const isRewritten = possible.length > 1 && isPrefix(possible[0]);
          const least = isRewritten ? possible[0].length : durable.length;
          expect(records.length).toBeGreaterThanOrEqual(Math.min(least, durable.length));
        }
      }),
      { numRuns: 300 },
    );
  }, 120_000);
});
