import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RangeSet } from "@fascicle/core";
import type { JobSpec } from "@fascicle/transport";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HeadJournal } from "./headJournal.ts";
import { compactionBytesMinimum } from "./limits.ts";
import { encodeLogHeader } from "./recordFormat.ts";
import { TornStorage } from "./tornStorage.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function spec(job: string, chunkCount = 1_000): JobSpec {
  return {
    job,
    model: "csd",
    voxelCount: chunkCount * 3,
    chunkCount,
    signals: { width: 5, dtype: "float32", blockVoxels: 10 },
    outputs: [{ name: "sum", width: 1, dtype: "float64", units: "1" }],
    kernel: { module: "m", name: "sums", hash: "h" },
    slotLimit: undefined,
  };
}

const refuse = (error: Error): void => {
  throw error;
};
const open = (nowMs = 1) => HeadJournal.open(folder, { nowMs, onError: refuse });

describe("the journal of a head", () => {
  it("has the fits that have not ended, with what is settled of them", async () => {
    const first = await open(100);
    expect(first.jobs).toEqual([]);
    expect(first.lastStartMs).toBeUndefined();
    const parameters = Uint8Array.of(1, 2, 3);
    first.journal.submitted(spec("a"), parameters, { client: "x", priority: 2 });
    first.journal.submitted(spec("b"), parameters);
    first.journal.settled("a", { start: 0, end: 10 });
    first.journal.settled("a", { start: 10, end: 12 });
    first.journal.settled("b", { start: 5, end: 6 });
    first.journal.settled("nobody", { start: 0, end: 1 });
    await first.journal.flushed();
    first.journal.settled("a", { start: 500, end: 501 });
    first.journal.ended("b");
    await first.journal.close();
    const second = await open(200);
    expect(second.lastStartMs).toBe(100);
    expect(second.notes).toEqual([]);
    expect(second.jobs).toHaveLength(1);
    const [job] = second.jobs;
    expect(job.spec).toEqual(spec("a"));
    expect([...job.parameters]).toEqual([1, 2, 3]);
    expect(job.details).toEqual({ client: "x", priority: 2 });
    expect(job.settled.ranges()).toEqual([
      { start: 0, end: 12 },
      { start: 500, end: 501 },
    ]);
    second.journal.settled("a", { start: 12, end: 20 });
    second.journal.ended("a");
    await second.journal.close();
    const third = await open();
    expect(third.jobs).toEqual([]);
    await third.journal.close();
  });

  it("knows what a resumed fit brought with it, beside what is settled later", async () => {
    const { journal } = await open();
    const brought = [
      { start: 0, end: 90 },
      { start: 100, end: 110 },
    ];
    journal.submitted(spec("a"), Uint8Array.of(1), undefined, brought);
    journal.settled("a", { start: 85, end: 100 });
    await journal.close();
    const again = await open();
    expect(again.jobs[0].settled.ranges()).toEqual([{ start: 0, end: 110 }]);
    await again.journal.close();
  });

  it("says what of it is damaged, and believes the rest", async () => {
    const { journal } = await open();
    journal.submitted(spec("a"), Uint8Array.of(1));
    await journal.flushed();
    const goodBytes = journal.sizeBytes;
    journal.settled("a", { start: 1, end: 2 });
    await journal.flushed();
    journal.submitted(spec("b"), Uint8Array.of(1));
    await journal.close();
    const path = join(folder, "journal");
    const bytes = readFileSync(path);
    bytes[goodBytes + 12] ^= 4;
    writeFileSync(path, bytes);
    const again = await open();
    expect(again.jobs.map(({ spec, settled }) => [spec.job, settled.size])).toEqual([["a", 0]]);
    expect(again.notes).toEqual([expect.stringMatching(/journal is damaged at byte \d+/)]);
    await again.journal.close();
  });

  it("leaves out records that it cannot make sense of", async () => {
    const { journal } = await open();
    journal.submitted({ ...spec("bad"), chunkCount: -1 }, Uint8Array.of(1));
    journal.submitted(spec("good"), Uint8Array.of(1));
    journal.settled("good", { start: 990, end: 2_000 });
    await journal.close();
    const again = await open();
    expect(again.jobs.map(({ spec }) => spec.job)).toEqual(["good"]);
    expect(again.jobs[0].settled.ranges()).toEqual([{ start: 990, end: 1_000 }]);
    expect(again.notes).toEqual([expect.stringMatching(/1 records make no sense/)]);
    await again.journal.close();
  });

  it("of a newer version is refused with what to do, and left alone", async () => {
    const path = join(folder, "journal");
    const { crc32 } = await import("node:zlib");
    const newer = encodeLogHeader(new Uint8Array(8)).bytes;
    newer.writeUInt32LE(2, 8);
    newer.writeUInt32LE(crc32(newer.subarray(0, 12)), 12);
    writeFileSync(path, newer);
    await expect(open()).rejects.toMatchObject({
      code: "JOURNAL_VERSION",
      message: expect.stringMatching(/newer version of Fascicle .*use that version/),
    });
    expect(readFileSync(path).equals(newer)).toBe(true);
  });

  it("in a directory that takes no files is refused in one sentence", async () => {
    const missing = HeadJournal.open(join(folder, "no"), { nowMs: 1, onError: refuse });
    await expect(missing).rejects.toMatchObject({
      code: "JOURNAL",
      message: expect.stringMatching(/journal cannot be used/),
    });
  });

  it("stays small however many fits and chunks went by", async () => {
    const { journal } = await open();
    journal.submitted(spec("lives", 100_000), new Uint8Array(10_000));
    let chunk = 0;
    for (let round = 0; round < 40; round++) {
      journal.submitted(spec(`job ${round}`), new Uint8Array(200_000));
      for (let i = 0; i < 50; i++) {
        journal.settled("lives", { start: chunk, end: chunk + 1 });
        chunk += 2;
      }
      await journal.flushed();
      journal.ended(`job ${round}`);
    }
    await journal.flushed();
    await journal.close();
    expect(journal.sizeBytes).toBeLessThan(2 * compactionBytesMinimum);
    const again = await open();
    expect(again.jobs.map(({ spec }) => spec.job)).toEqual(["lives"]);
    expect(again.jobs[0].settled.size).toBe(2_000);
    await again.journal.close();
  }, 60_000);

  it("goes on when its disk is full, and says so once", async () => {
    const errors: string[] = [];
    const storage = new TornStorage({ random: () => 0, limitBytes: 10_000 });
    const { journal } = await HeadJournal.open(folder, {
      nowMs: 1,
      onError: ({ message }) => void errors.push(message),
      storage,
    });
    for (let i = 0; i < 3; i++) {
      journal.submitted(spec(`job ${i}`), new Uint8Array(20_000));
      await journal.flushed().catch(() => {});
      journal.settled(`job ${i}`, { start: 0, end: 1 });
      journal.ended(`job ${i}`);
    }
    await journal.close();
    expect(errors).toEqual([expect.stringMatching(/journal cannot be written: no space is left/)]);
  });

  it("after a crash knows every chunk that was flushed, and none that was not settled", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(2), fc.nat(90), fc.integer({ min: 1, max: 9 })), {
          maxLength: 15,
        }),
        fc.nat(12),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        async (steps, crashAt, stream) => {
          const random = () => stream.next().value as number;
          const storage = new TornStorage({ random, crashAt });
          const said = new Map<string, RangeSet>();
          const durable = new Map<string, RangeSet>();
          const options = { nowMs: 1, onError: () => {} };
          try {
            const { journal } = await HeadJournal.open(folder, { ...options, storage });
            for (const [job, start, length] of steps) {
              const id = `job ${job}`;
              if (!said.has(id)) journal.submitted(spec(id, 100), Uint8Array.of(job));
              const chunks = { start, end: start + length };
              said.set(id, new RangeSet(...(said.get(id)?.ranges() ?? []), chunks));
              journal.settled(id, chunks);
              if (random() < 0.3) continue;
              await journal.flushed();
              for (const [key, set] of said) durable.set(key, new RangeSet(...set.ranges()));
            }
          } catch (error) {
            if (!storage.isCrashed) throw error;
          }
          const after = new TornStorage({ random }, storage.crash());
          const { journal, jobs } = await HeadJournal.open(folder, { ...options, storage: after });
          await journal.close();
          const found = new Map(jobs.map((job) => [job.spec.job, job.settled]));
          for (const [job, set] of durable) {
            expect(set.ranges().every((range) => found.get(job)?.covers(range))).toBe(true);
          }
          for (const [job, set] of found) {
            expect(set.ranges().every((range) => said.get(job)?.covers(range))).toBe(true);
          }
        },
      ),
      { numRuns: 30 },
    );
  }, 120_000);
});
