/** A log in memory that crashes as disks do, for tests and the simulator. */
import type { LogStorage } from "./logStorage.ts";

/** What a disk writes at once. */
const sectorBytes = 512;

/** The process or the machine is gone: nothing that was asked of the storage after this has happened. */
export class CrashedError extends Error {
  override readonly name = "CrashedError";
}

type Write = { readonly append: Uint8Array } | { readonly truncate: number };

export interface TornStorageOptions {
  /** Numbers in [0, 1); decides what a crash leaves. */
  readonly random: () => number;
  /** The operation (from 0, reads not counted) in the middle of which it crashes. */
  readonly crashAt?: number;
  /** Bytes that fit on the disk. */
  readonly limitBytes?: number;
}

/** Each operation takes effect when it is called, so a simulator need not wait for its promise. */
export class TornStorage implements LogStorage {
  readonly #random: () => number;
  readonly #crashAt: number;
  readonly #limitBytes: number;
  #durable: Uint8Array;
  /** What is written and not synced. */
  #writes: Write[] = [];
  #operations = 0;
  #isCrashed = false;

  constructor(options: TornStorageOptions, content: Uint8Array = new Uint8Array(0)) {
    this.#random = options.random;
    this.#crashAt = options.crashAt ?? Number.POSITIVE_INFINITY;
    this.#limitBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
    this.#durable = content.slice();
  }

  get operations(): number {
    return this.#operations;
  }

  get isCrashed(): boolean {
    return this.#isCrashed;
  }

  /** What a reader sees while nothing has crashed. */
  get content(): Uint8Array {
    return this.#writes.reduce(applied, this.#durable);
  }

  async read(): Promise<Uint8Array> {
    this.#refuseAfterCrash();
    return this.content.slice();
  }

  async append(bytes: Uint8Array): Promise<void> {
    const room = this.#limitBytes - this.content.length;
    const fitting = bytes.slice(0, Math.max(0, room));
    this.#writes.push({ append: fitting });
    this.#count();
    if (fitting.length < bytes.length) throw noSpace();
  }

  async truncate(bytes: number): Promise<void> {
    this.#writes.push({ truncate: bytes });
    this.#count();
  }

  async sync(): Promise<void> {
    this.#count();
    this.#durable = this.content;
    this.#writes = [];
  }

  async replace(bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#limitBytes) throw noSpace();
    const isNew = this.#operations + 1 > this.#crashAt && this.#random() < 0.5;
    if (isNew) this.#setDurable(bytes);
    this.#count();
    this.#setDurable(bytes);
  }

  async close(): Promise<void> {}

  /** Crashes now; what is found afterwards. */
  crash(): Uint8Array {
    if (!this.#isCrashed) this.#fall();
    return this.#durable.slice();
  }

  #setDurable(bytes: Uint8Array): void {
    this.#durable = bytes.slice();
    this.#writes = [];
  }

  #count(): void {
    this.#refuseAfterCrash();
    if (this.#operations++ < this.#crashAt) return;
    this.#fall();
    this.#refuseAfterCrash();
  }

  /** Of what was not synced some operations arrive, the last in part, and any sector of theirs may hold zeros or noise. */
  #fall(): void {
    const arrived = Math.floor(this.#random() * (this.#writes.length + 1));
    let content = this.#writes.slice(0, arrived).reduce(applied, this.#durable);
    const next = this.#writes[arrived];
    if (next !== undefined && "append" in next) {
      const part = next.append.slice(0, Math.floor(this.#random() * next.append.length));
      content = applied(content, { append: part });
    }
    this.#spoil(content);
    this.#durable = content;
    this.#writes = [];
    this.#isCrashed = true;
  }

  #spoil(content: Uint8Array): void {
    const kept = this.#writes.reduce(
      (bytes, write) => ("truncate" in write ? Math.min(bytes, write.truncate) : bytes),
      this.#durable.length,
    );
    for (let at = kept; at < content.length; at += sectorBytes) {
      if (this.#random() < 0.7) continue;
      const isNoise = this.#random() < 0.5;
      for (let i = at; i < Math.min(at + sectorBytes, content.length); i++) {
        content[i] = isNoise ? Math.floor(this.#random() * 256) : 0;
      }
    }
  }

  #refuseAfterCrash(): void {
    if (this.#isCrashed) throw new CrashedError("the storage has crashed");
  }
}

function applied(content: Uint8Array, write: Write): Uint8Array {
  if ("truncate" in write) return content.slice(0, write.truncate);
  const longer = new Uint8Array(content.length + write.append.length);
  longer.set(content);
  longer.set(write.append, content.length);
  return longer;
}

function noSpace(): Error {
  return Object.assign(new Error("ENOSPC: no space left on device, write"), {
    code: "ENOSPC",
    syscall: "write",
  });
}
