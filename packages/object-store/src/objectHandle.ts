/** Objects in another thread: what it is sent, and what it does with that. */
import type { MessagePort } from "node:worker_threads";
import { ForgottenMemory } from "./forgottenMemory.ts";
import { arrayOver, type ObjectArray, type ObjectDtype } from "./objectData.ts";

/** An object on its way to a thread: any message may carry it. Good for the thread that it was made for alone. */
export interface ObjectHandle {
  readonly id: number;
  readonly dtype: ObjectDtype;
  readonly shape: readonly number[];
  readonly length: number;
  /** Shared with the thread; of small objects it gets a copy. */
  readonly memory: SharedArrayBuffer | ArrayBuffer;
}

/** What threads tell their store. */
export interface ObjectThreadReport {
  readonly letGo: number;
}

/** What a store tells its threads: a buffer that they had is wanted no more. */
export interface ObjectThreadNotice {
  readonly droppedBytes: number;
}

/** The objects that a thread was sent. `port` is that of its `ObjectThread`. */
export class ThreadObjects {
  readonly #port: MessagePort;
  readonly #closed = new WeakSet<ObjectHandle>();
  readonly #forgotten = new ForgottenMemory();

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", ({ droppedBytes }: ObjectThreadNotice) => this.#forgotten.add(droppedBytes));
    port.unref();
  }

  /** Its values, where they are: nothing is copied. Not to be written to, and good until the handle is closed. */
  open(handle: ObjectHandle): ObjectArray {
    if (this.#closed.has(handle)) throw new Error(`the handle of object ${handle.id} is closed`);
    return arrayOver(handle.dtype, handle.memory, handle.length);
  }

  /** This thread has no view of it any more: others may have its memory. */
  close(handle: ObjectHandle): void {
    if (this.#closed.has(handle)) return;
    this.#closed.add(handle);
    if (!(handle.memory instanceof SharedArrayBuffer)) return;
    this.#port.postMessage({ letGo: handle.id } satisfies ObjectThreadReport);
  }
}
