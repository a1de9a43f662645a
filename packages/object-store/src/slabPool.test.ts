import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collectGarbage } from "./forgottenMemory.ts";
import {
  poolSlabBytesLeast,
  poolSlabBytesLimit,
  type Slab,
  SlabPool,
  slabClassBytes,
} from "./slabPool.ts";
import { ObjectMemoryError, SystemMemoryError } from "./slabs.ts";

const mebibyte = 1 << 20;

function statusBytes(field: "VmRSS" | "VmSize"): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(
    readFileSync("/proc/self/status", "utf8"),
  );
  return Number(line?.[1]) * 1024;
}

function residentBytes(): number {
  collectGarbage();
  return statusBytes("VmRSS");
}

/** What addresses this process may have from now on. */
function limitAddresses(bytes: number | "unlimited"): boolean {
  return spawnSync("prlimit", ["--pid", `${process.pid}`, `--as=${bytes}:`]).status === 0;
}

const canLimitAddresses = process.platform === "linux" && limitAddresses("unlimited");

describe("slabClassBytes", () => {
  it("is at least what is asked for and at most a quarter more, and a class of itself", () => {
    fc.assert(
      fc.property(fc.integer({ min: poolSlabBytesLeast, max: poolSlabBytesLimit }), (bytes) => {
        const classBytes = slabClassBytes(bytes);
        expect(classBytes).toBeGreaterThanOrEqual(bytes);
        expect(classBytes).toBeLessThanOrEqual(bytes * 1.25);
        expect(classBytes % 4096).toBe(0);
        expect(slabClassBytes(classBytes)).toBe(classBytes);
      }),
    );
  });

  it("puts all blocks of about 8 MiB together, and the smallest as well", () => {
    for (let width = 1; width <= 600; width++) {
      const rowBytes = width * 8;
      expect(slabClassBytes(Math.floor((8 * mebibyte) / rowBytes) * rowBytes)).toBe(8 * mebibyte);
    }
    expect(slabClassBytes(0)).toBe(poolSlabBytesLeast);
    expect(slabClassBytes(poolSlabBytesLimit)).toBe(poolSlabBytesLimit);
  });
});

describe("SlabPool", () => {
  it("hands the same buffer out again under its name, and a new one under a new name", () => {
    const pool = new SlabPool();
    const first = pool.take(8 * mebibyte);
    const second = pool.take(8 * mebibyte - 100);
    expect(second.id).not.toBe(first.id);
    pool.giveBack(first);
    const third = pool.take(8 * mebibyte - 4000);
    expect(third.id).toBe(first.id);
    expect(third.buffer).toBe(first.buffer);
    expect(third.bytes).toBe(8 * mebibyte - 4000);
    expect(new SlabPool().take(1).id).toBeGreaterThan(second.id);
  });

  it("takes nothing back twice, and nothing that is another pool's", () => {
    const pool = new SlabPool();
    const slab = pool.take(1000);
    expect(() => new SlabPool().giveBack(slab)).toThrow(/not handed out/);
    pool.giveBack(slab);
    expect(() => pool.giveBack(slab)).toThrow(/not handed out/);
    expect(() => pool.take(-1)).toThrow(RangeError);
    expect(() => pool.take(poolSlabBytesLimit + 1)).toThrow(RangeError);
  });

  it("gives the whole budget, to the byte, and no more", () => {
    const pool = new SlabPool(10 * mebibyte);
    const slabs = [pool.take(9 * mebibyte), pool.take(mebibyte - 8), pool.take(8)];
    expect(() => pool.take(1)).toThrow(ObjectMemoryError);
    for (const slab of slabs) pool.giveBack(slab);
    expect(pool.usedBytes).toBe(0);
    expect(pool.take(10 * mebibyte).bytes).toBe(10 * mebibyte);
    expect(pool.peakBytes).toBe(10 * mebibyte);
  });

  it("drops free slabs of other sizes, longest unused first, and says which", () => {
    const dropped: number[] = [];
    const pool = new SlabPool(10 * mebibyte, { onDrop: (id) => dropped.push(id) });
    const slabs = [4, 3, 2].map((size) => pool.take(size * mebibyte));
    for (const slab of slabs) pool.giveBack(slab);
    expect(pool.heldBytes).toBe(9 * mebibyte);
    const large = pool.take(5 * mebibyte);
    expect(dropped).toEqual([slabs[0].id]);
    expect(pool.take(2 * mebibyte).id).toBe(slabs[2].id);
    expect(pool.heldBytes).toBe(10 * mebibyte);
    pool.giveBack(large);
    pool.trim();
    expect(dropped).toEqual([slabs[0].id, slabs[1].id, large.id]);
    expect(pool.heldBytes).toBe(pool.usedBytes);
  });

  it("does not pay for the tail that an earlier user of a slab wrote with memory that others need", () => {
    const dropped: number[] = [];
    const pool = new SlabPool(16 * mebibyte, { onDrop: (id) => dropped.push(id) });
    const whole = pool.take(8 * mebibyte);
    pool.giveBack(whole);
    const other = pool.take(mebibyte * 8.5);
    // 7.5 MiB are left: the free slab of 8 has to go, though a slab of its class is wanted.
    const lesser = pool.take(mebibyte * 7.5);
    expect(dropped).toEqual([whole.id]);
    expect(lesser.id).not.toBe(whole.id);
    expect(pool.heldBytes).toBe(16 * mebibyte);
    pool.giveBack(lesser);
    pool.giveBack(other);
  });

  it("keeps its figures, whatever is taken and given back", () => {
    const limitBytes = 4 * mebibyte;
    const size = fc.integer({ min: 0, max: limitBytes / 2 });
    fc.assert(
      fc.property(
        fc.array(fc.record({ take: fc.boolean(), size, pick: fc.nat() }), { maxLength: 60 }),
        (operations) => {
          const dropped = new Set<number>();
          const pool = new SlabPool(limitBytes, { onDrop: (id) => dropped.add(id) });
          const held: Slab[] = [];
          for (const { take, size: bytes, pick } of operations) {
            const usedBytes = held.reduce((sum, slab) => sum + slab.bytes, 0);
            if (take && usedBytes + bytes > limitBytes) {
              expect(() => pool.take(bytes)).toThrow(ObjectMemoryError);
            } else if (take) {
              const slab = pool.take(bytes);
              expect(slab.buffer.byteLength).toBeGreaterThanOrEqual(bytes);
              expect(dropped.has(slab.id)).toBe(false);
              expect(held.some(({ id, buffer }) => id === slab.id || buffer === slab.buffer)).toBe(
                false,
              );
              held.push(slab);
            } else if (held.length > 0) {
              const [slab] = held.splice(pick % held.length, 1);
              pool.giveBack(slab);
            }
            expect(pool.usedBytes).toBe(held.reduce((sum, { bytes }) => sum + bytes, 0));
            expect(pool.count).toBe(held.length);
            expect(pool.heldBytes).toBeGreaterThanOrEqual(pool.usedBytes);
            // Only the tails of reused slabs may pass it, by the waste that classes have.
            expect(pool.heldBytes).toBeLessThanOrEqual(
              Math.max(limitBytes, pool.usedBytes * 1.25 + poolSlabBytesLeast * held.length),
            );
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.skipIf(!canLimitAddresses)(
    "drops what is free before it says that the system gives less than the budget allows",
    () => {
      const pool = new SlabPool();
      const gibibyte = 2 ** 30;
      const free = pool.take(gibibyte);
      pool.giveBack(free);
      const slabs: Slab[] = [];
      limitAddresses(statusBytes("VmSize") + 4.5 * gibibyte);
      try {
        const takeMore = () => {
          for (let n = 0; n < 10; n++) slabs.push(pool.take(gibibyte * 1.25));
        };
        expect(takeMore).toThrow(SystemMemoryError);
        expect(pool.count).toBe(slabs.length);
        expect(pool.heldBytes).toBe(pool.usedBytes);
        expect(slabs.length).toBeGreaterThan(1);
        pool.giveBack(slabs.pop()!);
        expect(pool.take(gibibyte * 1.25).bytes).toBe(gibibyte * 1.25);
      } finally {
        limitAddresses("unlimited");
      }
    },
  );
});

/** A thread that keeps every buffer it was ever given, by its id, until it is told that one was dropped. */
class Keeper {
  readonly #thread = new Worker(
    `const { parentPort } = require("node:worker_threads");
     const v8 = require("node:v8"), vm = require("node:vm");
     v8.setFlagsFromString("--expose-gc");
     const collect = vm.runInNewContext("gc");
     const held = new Map();
     parentPort.on("message", ({ slabs, dropped }) => {
       for (const id of dropped) held.delete(id);
       for (const { id, buffer } of slabs) {
         if (held.has(id) && held.get(id).length !== buffer.byteLength) throw new Error("another buffer");
         held.set(id, new Uint8Array(buffer));
       }
       if (dropped.length > 0 || slabs.length === 0) { collect(); collect({ type: "minor" }); }
       parentPort.postMessage(held.size);
     });`,
    { eval: true },
  );

  /** Resolves with how many it keeps. */
  async tell(slabs: readonly Slab[], dropped: readonly number[]): Promise<number> {
    this.#thread.postMessage({ slabs, dropped });
    return new Promise((resolve, reject) => {
      this.#thread.once("message", resolve);
      this.#thread.once("error", reject);
    });
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }
}

/**
 * Takes and gives back slabs of random sizes, three quarters of the budget in each round; resolves with how much
 * memory was resident beyond that before, after every tenth of the rounds and, at last, when all is dropped.
 */
async function churn(
  limitBytes: number,
  rounds: number,
): Promise<{ during: number[]; after: number }> {
  const keeper = new Keeper();
  try {
    let seed = 7;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    const dropped: number[] = [];
    const pool = new SlabPool(limitBytes, { onDrop: (id) => dropped.push(id) });
    await keeper.tell([], []);
    const beforeBytes = residentBytes();
    // A function of its own, so that nothing here refers to the slabs of the last round.
    const round = async () => {
      const slabs: Slab[] = [];
      while (pool.usedBytes < limitBytes * 0.75) {
        const slab = pool.take(Math.ceil((0.15 + random() * 0.1) * limitBytes));
        new Uint8Array(slab.buffer, 0, slab.bytes).fill(1);
        slabs.push(slab);
      }
      await keeper.tell(slabs, dropped.splice(0));
      for (const slab of slabs) pool.giveBack(slab);
    };
    const during: number[] = [];
    for (let n = 1; n <= rounds; n++) {
      await round();
      if (n % Math.ceil(rounds / 10) !== 0) continue;
      await keeper.tell([], dropped.splice(0));
      during.push(residentBytes() - beforeBytes);
    }
    pool.trim();
    expect(await keeper.tell([], dropped.splice(0))).toBe(0);
    return { during, after: residentBytes() - beforeBytes };
  } finally {
    await keeper.end();
  }
}

describe("resident memory", () => {
  it("stays flat over 200 rounds of mixed sizes", async () => {
    const limitBytes = 48 * mebibyte;
    const { during } = await churn(limitBytes, 200);
    // Without recycling, 7 GiB. The C library keeps what it was given of buffers below 32 MiB, cut up as it is.
    expect(Math.max(...during)).toBeLessThan(4.5 * limitBytes);
    const earlier = Math.max(...during.slice(0, 5));
    expect(Math.max(...during.slice(5))).toBeLessThan(earlier * 1.5);
  });

  it("is within the budget, and goes back to the system, where slabs are large", async () => {
    const limitBytes = 300 * mebibyte;
    const { during, after } = await churn(limitBytes, 20);
    expect(Math.max(...during)).toBeLessThan(limitBytes + 64 * mebibyte);
    expect(after).toBeLessThan(64 * mebibyte);
  });
});
