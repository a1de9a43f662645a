/** A real head, with a driver and workers that speak its language and do nothing but move blocks. */
import { crc32 } from "node:zlib";
import { blockVoxelsFor, currentOwner } from "@fascicle/object-store";
import {
  bulkFrameBytes,
  dial,
  encodeValue,
  type FromAgent,
  newToken,
  type Session,
  type ToAgent,
} from "@fascicle/transport";
import { DataLink } from "@fascicle/worker";
import { afterEach, expect, it } from "vitest";
import { Head } from "./head.ts";

const token = newToken();
/** Of its many blocks, those that are moved here. */
const blocks = 3;
/** 512 MiB of signals in blocks of 8 MiB. */
const voxelCount = 2 ** 26;
const blockVoxels = blockVoxelsFor({ voxelCount, width: 2, dtype: "float32" });
const blockBytes = blockVoxels * 8;
const spec = {
  job: "fit",
  model: "sums",
  voxelCount,
  chunkCount: 10,
  signals: { width: 2, dtype: "float32", blockVoxels },
  outputs: [{ name: "sum", width: 1, dtype: "float64", units: "1" }],
  kernel: { module: "m", name: "sums", hash: "h" },
};
const signals = new Uint8Array(blocks * blockBytes);
for (let i = 0; i < signals.length; i++) signals[i] = (i * 2_654_435_761) >>> 13;
const blockOf = (block: number) => signals.subarray(block * blockBytes, (block + 1) * blockBytes);

const closers: (() => unknown)[] = [];
const log: string[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  log.length = 0;
});

async function startHead(): Promise<Head> {
  const head = await Head.start({
    ...{ host: "127.0.0.1", port: 0, token },
    log: (sentence) => log.push(sentence),
  });
  closers.push(() => head.stop());
  return head;
}

/** A driver that counts the bytes that it sends. */
class Driver {
  bytes = 0;
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  static async start(port: number): Promise<Driver> {
    const session = await dial({ host: "127.0.0.1", port, token }, "client");
    const driver = new Driver(session);
    closers.push(() => session.close("done"));
    session.start({
      onMessage: (message) => {
        const words = message as { type: string; agent: string; block: number; offset: number };
        if (words.type === "blockWanted") void driver.#send(words);
      },
      onClose: () => {},
    });
    const words = { type: "submit", spec, settled: [], key: newToken(), owner: currentOwner() };
    session.send(words, encodeValue({}));
    return driver;
  }

  async #send({ agent, block, offset }: { agent: string; block: number; offset: number }) {
    for (let at = offset; at < blockBytes; at += bulkFrameBytes) {
      const piece = blockOf(block).subarray(at, at + bulkFrameBytes);
      this.bytes += piece.length;
      const words = { type: "block", agent, job: "fit", block, offset: at, crc: crc32(piece) };
      this.#session.send(words, piece);
      await this.#session.writable();
    }
  }
}

interface WorkerOptions {
  /** Where it says that it listens, instead of where it does. */
  readonly port?: number;
  readonly isDeaf?: boolean;
}

class Worker {
  readonly name: string;
  readonly link: DataLink;
  readonly #got = new Map<number, { bytes: Uint8Array; offset: number }>();
  readonly #whole = new Map<number, () => void>();
  #session: Session | undefined;
  #opened: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => {
    this.#opened = resolve;
  });
  forgets = false;
  served = 0;
  onPiece: (offset: number) => void = () => {};

  constructor(name: string) {
    this.name = name;
    this.link = new DataLink(token, {
      serve: async (_, block) => {
        const bytes = this.forgets ? undefined : this.#got.get(block)?.bytes;
        if (bytes !== undefined) this.served++;
        return bytes && { bytes, done: () => {} };
      },
      wanted: (_, block) => this.#wanted(block),
      onPiece: (_, block, offset, piece) => this.#take(block, offset, piece),
      say: (words) => this.say(words),
      log: (sentence) => log.push(`${name}: ${sentence}`),
    });
  }

  async join(head: Head, { port, isDeaf = false }: WorkerOptions = {}): Promise<this> {
    const session = await dial({ host: "127.0.0.1", port: head.port, token }, "agent");
    this.#session = session;
    closers.push(() => this.die());
    await this.link.listen(session.localAddress!);
    session.start({
      onMessage: (message, payload) => this.#received(message as ToAgent, payload),
      onClose: () => {},
    });
    const { address } = this.link;
    const dataAddress = isDeaf || address === undefined ? undefined : { ...address };
    if (port !== undefined) dataAddress!.port = port;
    this.say({
      type: "hello",
      host: {
        ...{ agent: this.name, hostName: this.name, pid: 1, slots: 1, machine: "m" },
        ...{ physicalCores: 1, memoryBytes: 1e9, objectMemoryBytes: 1e9, version: "1" },
      },
      ...{ owner: currentOwner(), key: newToken(), holds: [], dataAddress },
    });
    await this.opened;
    return this;
  }

  say(words: FromAgent): void {
    this.#session?.send(words);
  }

  /** Resolves when the block is here; it must be the right one. */
  async get(block: number): Promise<void> {
    this.#got.set(block, { bytes: new Uint8Array(blockBytes), offset: 0 });
    const whole = new Promise<void>((resolve) => this.#whole.set(block, resolve));
    this.say({ type: "blockWanted", job: "fit", block });
    await whole;
    expect(Buffer.compare(this.#got.get(block)!.bytes, blockOf(block))).toBe(0);
  }

  async die(): Promise<void> {
    const closed = this.link.close();
    this.#session?.terminate("killed");
    await closed;
  }

  #received(message: ToAgent, payload: Uint8Array): void {
    if (message.type === "open") this.#opened();
    else if (message.type === "blockAt" || message.type === "blockLost") this.link.handle(message);
    else if (message.type === "block") this.#take(message.block, message.offset, payload);
  }

  #wanted(block: number) {
    const got = this.#got.get(block);
    if (got === undefined) return undefined;
    return got.offset === blockBytes ? "here" : { bytes: blockBytes, offset: got.offset };
  }

  #take(block: number, offset: number, piece: Uint8Array): void {
    const got = this.#got.get(block)!;
    expect(offset).toBe(got.offset);
    got.bytes.set(piece, offset);
    got.offset += piece.length;
    this.onPiece(got.offset);
    if (got.offset < blockBytes) return;
    this.say({ type: "blockHere", job: "fit", block });
    this.#whole.get(block)?.();
  }
}

const workersOf = (head: Head, count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => new Worker(`w${i}`).join(head)));

it("a block that eight workers want leaves the driver once", async () => {
  const head = await startHead();
  const driver = await Driver.start(head.port);
  const workers = await workersOf(head, 8);
  await Promise.all(workers.map((worker) => worker.get(1)));
  expect(driver.bytes).toBe(blockBytes);
  expect(workers.reduce((sum, { served }) => sum + served, 0)).toBe(7);
  expect(Math.max(...workers.map(({ served }) => served))).toBeLessThan(7);
});

it("several blocks go round at once", async () => {
  const head = await startHead();
  const driver = await Driver.start(head.port);
  const workers = await workersOf(head, 4);
  await Promise.all(workers.flatMap((worker) => [0, 1, 2].map((block) => worker.get(block))));
  expect(driver.bytes).toBe(3 * blockBytes);
});

it("what a worker that dies was sending comes from another that has it, from where it broke", async () => {
  const head = await startHead();
  const driver = await Driver.start(head.port);
  const [first, second, third] = await workersOf(head, 3);
  await first.get(0);
  await second.get(0);
  third.onPiece = (offset) => {
    if (offset >= 2 * bulkFrameBytes) void first.die();
  };
  await third.get(0);
  expect([first.served, second.served]).toEqual([2, 1]);
  expect(driver.bytes).toBe(blockBytes);
});

it("the rest comes from the driver where nobody else has it", async () => {
  const head = await startHead();
  const driver = await Driver.start(head.port);
  const [first, second] = await workersOf(head, 2);
  await first.get(0);
  second.onPiece = (offset) => {
    if (offset >= 2 * bulkFrameBytes) void first.die();
  };
  await second.get(0);
  expect(first.served).toBe(1);
  expect(driver.bytes).toBeGreaterThan(blockBytes);
  expect(driver.bytes).toBeLessThan(2 * blockBytes);
});

it("who cannot be reached, or has forgotten a block, keeps nobody from it", async () => {
  const head = await startHead();
  const driver = await Driver.start(head.port);
  const walled = await new Worker("walled").join(head, { port: 1 });
  const deaf = await new Worker("deaf").join(head, { isDeaf: true });
  const forgetful = await new Worker("forgetful").join(head);
  const last = await new Worker("last").join(head);
  await walled.get(0);
  await deaf.get(0);
  expect(driver.bytes).toBe(2 * blockBytes);
  await forgetful.get(0);
  forgetful.forgets = true;
  await last.get(0);
  expect(log.filter((line) => line.includes("did not get a block"))).not.toEqual([]);
  expect(driver.bytes).toBe(4 * blockBytes);
  forgetful.forgets = false;
  forgetful.say({ type: "blockGone", job: "fit", block: 0 });
  await deaf.get(1);
  await forgetful.get(1);
  await last.get(1);
  expect(forgetful.served).toBe(1);
});
