/** A thread that is sent objects, as their store sees it. */
import { MessageChannel, type MessagePort, type Worker } from "node:worker_threads";
import type { ObjectHandle, ObjectThreadNotice, ObjectThreadReport } from "./objectHandle.ts";
import type { ObjectMemory } from "./objectMemory.ts";
import type { StoredObject } from "./storedObject.ts";

/** What it was sent stays where it is until it has let go of it, or has ended: only then is its memory used again. */
export class ObjectThread {
  /** For the thread's `ThreadObjects`: to be transferred to it. */
  readonly port: MessagePort;
  readonly #ownPort: MessagePort;
  readonly #memory: ObjectMemory;
  readonly #held = new Map<number, { object: StoredObject; count: number }>();
  /** Buffers that it has seen, by their slab's id. */
  readonly #slabs = new Set<number>();
  readonly #onEnd: (thread: ObjectThread) => void;
  #hasEnded = false;

  constructor(memory: ObjectMemory, worker: Worker, onEnd: (thread: ObjectThread) => void) {
    const { port1, port2 } = new MessageChannel();
    this.port = port2;
    this.#ownPort = port1;
    this.#memory = memory;
    this.#onEnd = onEnd;
    port1.on("message", ({ letGo }: ObjectThreadReport) => this.#letGo(letGo));
    // A thread at rest keeps no process alive.
    port1.unref();
    worker.once("exit", () => this.end());
  }

  /** Objects that it has not let go of. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** The store's part of `ObjectStore.handleOf`: the object is in memory. */
  hand(object: StoredObject): ObjectHandle {
    if (this.#hasEnded) throw new Error("this thread has ended");
    const { id, dtype, shape, length } = object;
    const { slab, data } = object.place!;
    if (slab === undefined) return { id, dtype, shape, length, memory: data.buffer };
    const held = this.#held.get(id);
    if (held === undefined) this.#held.set(id, { object, count: 1 });
    else held.count++;
    this.#memory.pin(object);
    this.#slabs.add(slab.id);
    return { id, dtype, shape, length, memory: slab.buffer };
  }

  /** The pool has dropped a buffer. */
  dropped(slabId: number, bytes: number): void {
    if (!this.#slabs.delete(slabId)) return;
    this.#ownPort.postMessage({ droppedBytes: bytes } satisfies ObjectThreadNotice);
  }

  /** It has ended: nothing is held by it any more. Called by itself at the thread's exit. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#ownPort.close();
    for (const { object, count } of this.#held.values()) {
      for (let n = 0; n < count; n++) this.#memory.unpin(object);
    }
    this.#held.clear();
    this.#onEnd(this);
  }

  #letGo(id: number): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    if (--held.count === 0) this.#held.delete(id);
    this.#memory.unpin(held.object);
  }
}
