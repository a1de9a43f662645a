import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ObjectHandle } from "./objectHandle.ts";
import { type ObjectRef, ObjectStore } from "./objectStore.ts";
import type { ObjectThread } from "./objectThread.ts";
import { SlabPool } from "./slabPool.ts";
import { mebibyte, SpillPlace } from "./spillTesting.ts";

// What users run in threads; Node cannot read TypeScript there.
const built = new URL("../dist/index.js", import.meta.url);

/** A thread that opens, reads and closes what it is told to. */
class Reader {
  readonly worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     parentPort.once("message", async ({ port, built }) => {
       const { ThreadObjects } = await import(built);
       const objects = new ThreadObjects(port);
       const handles = new Map();
       parentPort.on("message", ({ open, read, close, mark }) => {
         if (open !== undefined) handles.set(open.id, open);
         const id = open?.id ?? read ?? close ?? mark;
         const handle = handles.get(id);
         let answer;
         try {
           const data = objects.open(handle);
           if (mark !== undefined) data[0] = 42;
           answer = { values: [data[0], data[data.length - 1]], isShared: data.buffer === handle.memory, shape: handle.shape };
           if (close !== undefined) { objects.close(handle); objects.close(handle); }
         } catch (error) { answer = { error: error.message }; }
         parentPort.postMessage(answer);
       });
     });`,
    { eval: true },
  );
  readonly thread: ObjectThread;

  constructor(store: ObjectStore) {
    this.thread = store.threadOf(this.worker);
    const { port } = this.thread;
    this.worker.postMessage({ port, built: built.href }, [port]);
  }

  async ask(message: object) {
    const answered = once(this.worker, "message");
    this.worker.postMessage(message);
    return (await answered)[0];
  }
}

/** Until it holds; the test's own deadline ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

let place: SpillPlace;
let readers: Reader[] = [];

beforeEach(() => {
  place = new SpillPlace();
});

afterEach(async () => {
  for (const { worker } of readers) await worker.terminate();
  readers = [];
  await place.end();
});

function newReader(store: ObjectStore): Reader {
  const reader = new Reader(store);
  readers.push(reader);
  return reader;
}

const numbered = (n: number) => new Float64Array(mebibyte / 8).fill(n);

describe("threads", () => {
  it("see the very memory of an object, and small ones as a copy", async () => {
    const store = new ObjectStore({ pool: new SlabPool() });
    const ref = store.put(numbered(5), { owner: "a", shape: [mebibyte / 16, 2] });
    const small = store.put(Uint16Array.of(7, 8, 9), { owner: "a" });
    const readers = [newReader(store), newReader(store)];
    for (const reader of readers) {
      expect(await reader.ask({ open: store.handleOf(ref, reader.thread) })).toEqual({
        values: [5, 5],
        isShared: true,
        shape: [mebibyte / 16, 2],
      });
      const answer = await reader.ask({ open: store.handleOf(small, reader.thread) });
      expect(answer.values).toEqual([7, 9]);
    }
    // No copy anywhere: what one thread writes, against the rules, all see.
    await readers[0].ask({ mark: ref.id });
    expect((await readers[1].ask({ read: ref.id })).values).toEqual([42, 5]);
    expect(store.get(ref).data[0]).toBe(42);
    await readers[0].ask({ mark: small.id });
    expect((await readers[1].ask({ read: small.id })).values).toEqual([7, 9]);
    expect(store.list().map(({ pins }) => pins)).toEqual([3, 0]);
  });

  it("keep memory from being used again until all of them have closed it", async () => {
    const pool = new SlabPool(2 * mebibyte);
    const store = new ObjectStore({ pool, spill: place.space() });
    const ref = store.put(numbered(1), { owner: "a" });
    const [first, second] = [newReader(store), newReader(store)];
    await first.ask({ open: store.handleOf(ref, first.thread) });
    await first.ask({ open: store.handleOf(ref, first.thread) });
    await second.ask({ open: store.handleOf(ref, second.thread) });
    store.releaseOwner("a");
    expect(pool.usedBytes).toBe(mebibyte);
    const other = store.put(numbered(2), { owner: "b" });
    await expect(
      store.putAsync(new Float64Array(numbered(3).length * 2), { owner: "b" }),
    ).rejects.toThrow(/in use/);
    await second.ask({ close: ref.id });
    expect(await second.ask({ read: ref.id })).toEqual({
      error: `the handle of object ${ref.id} is closed`,
    });
    await until(() => second.thread.heldCount === 0);
    expect((await first.ask({ read: ref.id })).values).toEqual([1, 1]);
    expect(pool.usedBytes).toBe(2 * mebibyte);
    // The first was handed it twice and closes the later one: the earlier message may still be under way.
    await first.ask({ close: ref.id });
    await until(() => store.list()[0].id === other.id);
    expect(pool.usedBytes).toBe(2 * mebibyte);
    await first.worker.terminate();
    expect(pool.usedBytes).toBe(mebibyte);
    expect(() => store.handleOf(other, first.thread)).toThrow(/has ended/);
  });

  it.each(["terminate", "exit", "crash"])("that end by %s hold nothing any more", async (how) => {
    const pool = new SlabPool();
    const store = new ObjectStore({ pool });
    const ref = store.put(numbered(1), { owner: "a" });
    const worker = new Worker(
      `const { parentPort } = require("node:worker_threads");
       parentPort.on("message", ({ how }) => {
         if (how === "exit") process.exit(0);
         if (how === "crash") throw new Error("crash");
       });`,
      { eval: true },
    );
    worker.on("error", () => {});
    const thread = store.threadOf(worker);
    const handle: ObjectHandle = store.handleOf(ref, thread);
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage({ handle, port: thread.port }, [thread.port]);
    store.release(ref, "a");
    expect(pool.usedBytes).toBe(mebibyte);
    if (how === "terminate") await worker.terminate();
    else worker.postMessage({ how });
    await exited;
    expect(pool.usedBytes).toBe(0);
  });

  it("get what is on disk, and what they hold does not go there", async () => {
    const pool = new SlabPool(2 * mebibyte);
    const store = new ObjectStore({ pool, spill: place.space() });
    const reader = newReader(store);
    const refs: ObjectRef[] = [];
    for (const n of [1, 2, 3]) refs.push(await store.putAsync(numbered(n), { owner: "a" }));
    expect(() => store.handleOf(refs[0], reader.thread)).toThrow(/is on disk/);
    const handle = await store.handleOfAsync(refs[0], reader.thread);
    expect((await reader.ask({ open: handle })).values).toEqual([1, 1]);
    await store.putAsync(numbered(4), { owner: "a" });
    expect(store.list().map(({ where }) => where)).toEqual([
      "memory",
      "spilled",
      "spilled",
      "memory",
    ]);
    expect((await reader.ask({ read: refs[0].id })).values).toEqual([1, 1]);
  });
});
