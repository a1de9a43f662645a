/** The slabs that a thread knows by name. New ones are announced before any page lies in them. */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";

/** What the pool says about the host's slabs. */
export type SlabNews =
  | { readonly type: "slab"; readonly name: number; readonly buffer: SharedArrayBuffer }
  | { readonly type: "gone"; readonly name: number };

export class SlabBook {
  readonly #port: MessagePort;
  readonly #buffers = new Map<number, SharedArrayBuffer>();
  /** Of slabs that are gone, since that was asked last. */
  #goneBytes = 0;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** The slab of this name; reads the news, which is there, if it is not known yet. */
  bufferOf(name: number): SharedArrayBuffer {
    if (!this.#buffers.has(name)) this.#read();
    const buffer = this.#buffers.get(name);
    if (buffer === undefined) throw new Error(`slab ${name} is not known here`);
    return buffer;
  }

  /** Reads all news; says how many bytes it let go of since it was asked last. */
  read(): number {
    this.#read();
    const goneBytes = this.#goneBytes;
    this.#goneBytes = 0;
    return goneBytes;
  }

  #read(): void {
    for (;;) {
      const news = receiveMessageOnPort(this.#port)?.message as SlabNews | undefined;
      if (news === undefined) return;
      if (news.type === "slab") {
        this.#buffers.set(news.name, news.buffer);
      } else {
        this.#goneBytes += this.#buffers.get(news.name)?.byteLength ?? 0;
        this.#buffers.delete(news.name);
      }
    }
  }
}
