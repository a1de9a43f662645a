import { openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inlineBytesLimit } from "./objectMemory.ts";
import { type ObjectRef, ObjectStore } from "./objectStore.ts";
import { SlabPool } from "./slabPool.ts";
import { ObjectMemoryError } from "./slabs.ts";
import { SpillDamageError } from "./spillErrors.ts";
import { errorOf, mebibyte, SpillPlace } from "./spillTesting.ts";

let place: SpillPlace;

beforeEach(() => {
  place = new SpillPlace();
});

afterEach(() => place.end());

const floatsPerMebibyte = mebibyte / 8;

/** A mebibyte that tells its number. */
const numbered = (n: number, mebibytes = 1) =>
  Float64Array.from({ length: floatsPerMebibyte * mebibytes }, (_, k) => n * 1e7 + k);

function storeWithSpill(memoryMebibytes: number, spillMebibytes = 64) {
  const pool = new SlabPool(memoryMebibytes * mebibyte);
  const spill = place.space({ limitBytes: spillMebibytes * mebibyte, patienceMs: 300 });
  return { pool, spill, store: new ObjectStore({ pool, spill }) };
}

const where = (store: ObjectStore) => store.list().map(({ id, where }) => `${id} ${where}`);

describe("put and get", () => {
  it("keeps values, dtype and shape of every kind of array, small and large, as they were put", () => {
    const store = new ObjectStore({ pool: new SlabPool() });
    const kinds = [
      Int8Array,
      Uint8Array,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
    ];
    const names = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"];
    for (const [n, Kind] of kinds.entries()) {
      for (const length of [0, 6, 60_000]) {
        // At an odd place of its buffer, as a reader would have it.
        const whole = new Kind(length + 3);
        const data = whole.subarray(3);
        for (let k = 0; k < length; k++) data[k] = k % 120;
        const shape = [length / 3, 3];
        const ref = store.put(data, { owner: "test", shape });
        data.fill(7);
        const view = store.get(ref);
        expect(view.dtype).toBe(names[n]);
        expect(view.shape).toEqual(shape);
        expect(view.data.constructor).toBe(Kind);
        expect(view.data.byteOffset % 8).toBe(0);
        expect(view.data.length).toBe(length);
        for (const k of [0, 1, 119, 120, length - 1]) {
          if (k >= 0 && k < length) expect(view.data[k]).toBe(k % 120);
        }
        view.close();
        expect(() => view.data).toThrow(/closed/);
      }
    }
    const big = store.get(store.put(BigInt64Array.of(-5n), { owner: "test" }));
    expect([big.dtype, big.data[0]]).toEqual(["int64", -5n]);
    expect(store.get(store.put(Buffer.from("abc"), { owner: "test" })).dtype).toBe("uint8");
  });

  it("refuses what is no array of numbers, and shapes that do not fit", () => {
    const store = new ObjectStore({ pool: new SlabPool() });
    const options = { owner: "test" };
    expect(() => store.put(new Uint8ClampedArray(3) as never, options)).toThrow(TypeError);
    expect(() => store.put([1, 2] as never, options)).toThrow(/typed array/);
    expect(() => store.put(new Uint8Array(6), { owner: "test", shape: [4, 2] })).toThrow(
      RangeError,
    );
    expect(() => store.put(new Uint8Array(6), { owner: "test", shape: [-2, -3] })).toThrow(
      RangeError,
    );
    expect(store.count).toBe(0);
  });

  it("gives all views of an object the same memory, and no other object", () => {
    const store = new ObjectStore({ pool: new SlabPool() });
    const ref = store.put(numbered(1), { owner: "test" });
    const [first, second] = [store.get(ref), store.get(ref)];
    expect(second.data.buffer).toBe(first.data.buffer);
    expect(first.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    const other = store.get(store.put(numbered(1), { owner: "test" }));
    expect(other.data.buffer).not.toBe(first.data.buffer);
  });
});

describe("owners", () => {
  it("hold an object until each has released it as often as it held it", () => {
    const pool = new SlabPool();
    const store = new ObjectStore({ pool });
    const ref = store.put(numbered(1), { owner: "a" });
    store.retain(ref, "b");
    store.retain(ref, "b");
    expect(store.list()[0].owners).toEqual(["a", "b"]);
    store.release(ref, "a");
    expect(() => store.release(ref, "a")).toThrow(/not held by a/);
    store.release(ref, "b");
    expect(pool.usedBytes).toBe(mebibyte);
    store.release(ref, "b");
    expect([pool.usedBytes, pool.count, store.count]).toEqual([0, 0, 0]);
    for (const use of [() => store.get(ref), () => store.retain(ref, "a")]) {
      expect(use).toThrow(expect.objectContaining({ code: "OBJECT_UNKNOWN" }));
    }
    expect(() => store.release(ref, "b")).toThrow(/not held/);
  });

  it("end with all that they alone held, and memory that is viewed goes with the last view", () => {
    const pool = new SlabPool();
    const store = new ObjectStore({ pool });
    const refs = [1, 2, 3].map((n) => store.put(numbered(n), { owner: "a" }));
    const small = store.put(new Uint8Array(inlineBytesLimit), { owner: "a" });
    store.retain(refs[2], "b");
    const views = [store.get(refs[0]), store.get(refs[0])];
    const smallView = store.get(small);
    expect(store.inlineBytes).toBe(inlineBytesLimit);
    store.releaseOwner("a");
    store.releaseOwner("nobody");
    expect(where(store)).toEqual(["3 memory"]);
    expect(pool.usedBytes).toBe(2 * mebibyte);
    expect(views[0].data[5]).toBe(1e7 + 5);
    expect(smallView.data.length).toBe(inlineBytesLimit);
    views[0].close();
    views[0].close();
    expect(pool.usedBytes).toBe(2 * mebibyte);
    views[1].close();
    expect(pool.usedBytes).toBe(mebibyte);
    expect(store.inlineBytes).toBe(0);
  });

  it("are all gone when the store is closed, with memory, files and the rest", async () => {
    const { pool, spill, store } = storeWithSpill(2);
    for (const n of [1, 2, 3, 4]) await store.putAsync(numbered(n), { owner: `${n}` });
    expect(spill.usedBytes).toBe(2 * mebibyte);
    await store.close();
    expect([pool.usedBytes, spill.usedBytes, store.count]).toEqual([0, 0, 0]);
    expect(readdirSync(place.directory)).toEqual([]);
    expect(() => store.put(new Uint8Array(1), { owner: "a" })).toThrow(/closed/);
    expect((await errorOf(store.putAsync(numbered(1), { owner: "a" }))).message).toMatch(/closed/);
  });
});

describe("spilling", () => {
  it("moves the least recently used to disk, and brings them back as they were", async () => {
    const { pool, store } = storeWithSpill(4);
    const refs: ObjectRef[] = [];
    for (let n = 1; n <= 4; n++) refs.push(await store.putAsync(numbered(n), { owner: "a" }));
    store.get(refs[0]).close();
    expect(() => store.put(numbered(5), { owner: "a" })).toThrow(/wait for room with putAsync/);
    refs.push(await store.putAsync(numbered(5), { owner: "a", shape: [8, floatsPerMebibyte / 8] }));
    expect(where(store)).toEqual(["1 memory", "2 spilled", "3 memory", "4 memory", "6 memory"]);
    expect(() => store.get(refs[1])).toThrow(expect.objectContaining({ code: "OBJECT_SPILLED" }));
    const views = await Promise.all(refs.slice(0, 3).map((ref) => store.getAsync(ref)));
    for (const [n, view] of views.entries()) {
      expect(
        Buffer.compare(new Uint8Array(view.data.buffer), new Uint8Array(numbered(n + 1).buffer)),
      ).toBe(0);
      view.close();
    }
    expect(pool.usedBytes).toBeLessThanOrEqual(4 * mebibyte);
  });

  it("leaves what is viewed where it is, and says so when nothing else is left", async () => {
    const { store } = storeWithSpill(3);
    const refs = [1, 2, 3].map((n) => store.put(numbered(n), { owner: "a" }));
    const views = refs.map((ref) => store.get(ref));
    const error = await errorOf(store.putAsync(numbered(4), { owner: "a" }));
    expect(error).toBeInstanceOf(ObjectMemoryError);
    expect(error.message).toMatch(/no room for an object of 1 MiB in 3 MiB .* in use/);
    views[1].close();
    const fourth = await store.putAsync(numbered(4), { owner: "a" });
    expect(where(store).slice(0, 3)).toEqual(["1 memory", "2 spilled", "3 memory"]);
    expect(store.get(fourth).data[1]).toBe(4e7 + 1);
    expect(views[0].data[1]).toBe(1e7 + 1);
    const tooLarge = await errorOf(store.putAsync(numbered(5, 4), { owner: "a" }));
    expect(tooLarge.message).toMatch(/raise --object-memory/);
    const without = new ObjectStore({ pool: new SlabPool(mebibyte) });
    const noSpill = await errorOf(without.putAsync(numbered(5, 2), { owner: "a" }));
    expect(noSpill).toBeInstanceOf(ObjectMemoryError);
  });

  it("fuses small objects, and does not write again what is on disk already", async () => {
    const { spill, store } = storeWithSpill(1);
    const refs = Array.from({ length: 64 }, (_, n) =>
      store.put(new Uint8Array(16 << 10).fill(n), { owner: "a" }),
    );
    await store.putAsync(new Uint8Array(1 << 10), { owner: "b" });
    const written = spill.takenBytes;
    // More than was needed, in one go.
    expect(written).toBeGreaterThan(512 << 10);
    for (const [n, ref] of refs.entries()) {
      expect((await store.getAsync(ref)).data[5]).toBe(n);
    }
    for (const [n, ref] of refs.entries()) {
      expect((await store.getAsync(ref)).data[6]).toBe(n);
    }
    expect(spill.takenBytes).toBeLessThanOrEqual(mebibyte + 1024);
    expect(store.inlineBytes).toBeLessThanOrEqual(mebibyte);
    store.releaseOwner("a");
    store.releaseOwner("b");
    await store.close();
    expect([store.inlineBytes, spill.takenBytes]).toEqual([0, 0]);
  });

  it("takes the copies of what is in memory off a disk that is short", async () => {
    const { store, spill } = storeWithSpill(2, 3);
    const refs: ObjectRef[] = [];
    for (let n = 1; n <= 3; n++) refs.push(await store.putAsync(numbered(n), { owner: "a" }));
    // Four objects in all, and room for five; each get of what is not there moves another one out.
    for (const n of [0, 1, 2, 0, 1, 2, 1, 0]) {
      const view = await store.getAsync(refs[n]);
      expect(view.data[2]).toBe((n + 1) * 1e7 + 2);
      view.close();
    }
    refs.push(await store.putAsync(numbered(4), { owner: "a" }));
    expect(where(store).filter((text) => text.endsWith("spilled"))).toHaveLength(2);
    for (const n of [3, 2, 1, 0]) {
      const view = await store.getAsync(refs[n]);
      expect(view.data[2]).toBe((n + 1) * 1e7 + 2);
      view.close();
    }
    expect(spill.peakBytes).toBeLessThanOrEqual(3 * mebibyte);
  });

  it("never shows a wrong byte: a damaged file is an error for the one object, each time", async () => {
    const { pool, store } = storeWithSpill(1);
    const first = store.put(numbered(1), { owner: "a" });
    const second = await store.putAsync(numbered(2), { owner: "a" });
    const [name] = readdirSync(place.directory);
    writeSync(openSync(join(place.directory, name), "r+"), Uint8Array.of(1), 0, 1, 1000);
    for (let n = 0; n < 2; n++) {
      expect(await errorOf(store.getAsync(first))).toBeInstanceOf(SpillDamageError);
    }
    expect((await store.getAsync(second)).data[3]).toBe(2e7 + 3);
    store.release(first, "a");
    expect(pool.usedBytes).toBe(mebibyte);
  });

  it("loses nothing when the disk refuses: what was to go there is still in memory", async () => {
    const { store } = storeWithSpill(1);
    const first = store.put(numbered(1), { owner: "a" });
    rmSync(place.directory, { recursive: true });
    const error = await errorOf(store.putAsync(numbered(2), { owner: "a" }));
    expect(error.code).toBe("SPILL");
    expect(store.get(first).data[4]).toBe(1e7 + 4);
  });

  it("keeps its promises while 16 users put, get and release at random in a third of the memory", async () => {
    const { pool, spill, store } = storeWithSpill(8);
    let seed = 3;
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    const lengths = [100, 8000, 10_000, floatsPerMebibyte / 2, floatsPerMebibyte];
    await Promise.all(
      Array.from({ length: 16 }, async (_, user) => {
        const mine: { ref: ObjectRef; value: number; length: number }[] = [];
        for (let n = 0; n < 40; n++) {
          if (mine.length < 4 && random(2) === 0) {
            const value = user * 1000 + n;
            const length = lengths[random(lengths.length)];
            const data = new Float64Array(length).fill(value);
            mine.push({ ref: await store.putAsync(data, { owner: `${user}` }), value, length });
          } else if (mine.length > 0 && random(4) === 0) {
            store.release(mine.splice(random(mine.length), 1)[0].ref, `${user}`);
          } else if (mine.length > 0) {
            const { ref, value, length } = mine[random(mine.length)];
            const view = await store.getAsync(ref);
            const { data } = view;
            expect([data.length, data[0], data[length - 1]]).toEqual([length, value, value]);
            view.close();
          }
          expect(pool.usedBytes + store.inlineBytes).toBeLessThanOrEqual(8 * mebibyte);
        }
        store.releaseOwner(`${user}`);
      }),
    );
    expect([store.count, pool.usedBytes, store.inlineBytes]).toEqual([0, 0, 0]);
    expect(spill.peakBytes).toBeGreaterThan(0);
    await store.close();
    expect(spill.takenBytes).toBe(0);
  });
});
