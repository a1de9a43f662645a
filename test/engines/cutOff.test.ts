/** An agent whose head is lost while signals are on their way, and that is taken in again with a part of what it held. */
import { crc32 } from "node:zlib";
import { bytesPerValue, SlabPool } from "@fascicle/object-store";
import {
  dial,
  encodeKernelPayload,
  type FromAgent,
  listen,
  newToken,
  readFromAgent,
  type Session,
} from "@fascicle/transport";
import { Agent } from "@fascicle/worker";
import { afterEach, describe, expect, it } from "vitest";
import { testModel } from "../support/models.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const model = testModel({ voxels: 4 });
const { signals, outputs, kernel } = model;
const rowBytes = signals.width * bytesPerValue[signals.dtype];
const spec = {
  ...{ job: "j", model: "sums", voxelCount: 4, chunkCount: 4 },
  signals: { width: signals.width, dtype: signals.dtype, blockVoxels: 2 },
  outputs,
  kernel: { module: kernel.module, name: kernel.name, hash: kernel.hash },
};

/** A worker and the door of a head without a will; `join` lets it in under a name and gives both ends. */
async function setUp() {
  const token = newToken();
  const heard: FromAgent[] = [];
  let look = () => {};
  let session: Session | undefined;
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    token,
    onSession: (opened) => {
      session = opened;
      opened.start({
        onMessage: (raw) => {
          heard.push(readFromAgent(raw));
          look();
        },
        onClose: () => {},
      });
    },
    onRefused: () => {},
  });
  ends.push(() => server.close());
  const memory = new SlabPool(64 << 20);
  const host = {
    ...{ hostName: "here", pid: process.pid, slots: 1, machine: "here", physicalCores: 1 },
    ...{ memoryBytes: 1 << 30, objectMemoryBytes: memory.limitBytes, version: "test" },
  };
  const kernelModules = new Map([[kernel.module, kernel.module]]);
  const agent = new Agent({ host, memory, kernelModules, log: () => {} });
  ends.push(() => agent.stop());
  /** The first message from now on (what was found is not found again) that is wanted. */
  const next = (isWanted: (message: FromAgent) => boolean) =>
    new Promise<FromAgent>((resolve) => {
      look = () => {
        const at = heard.findIndex(isWanted);
        if (at >= 0) resolve(heard.splice(0, at + 1)[at]);
      };
      look();
    });
  const join = async (name: string) => {
    const dialled = await dial({ host: "127.0.0.1", port: server.port, token }, "agent");
    const ended = agent.attach(dialled, name);
    await next(({ type }) => type === "hello");
    return { session: session!, ended };
  };
  return { join, next };
}

describe("an agent whose head is lost while its signals are on their way", () => {
  it("fits what it may keep, though the chunks before are others' now and their signals never come", async () => {
    const { join, next } = await setUp();
    const before = await join("first");
    const open = { type: "open", spec, slots: 1, epoch: 1, windowBytes: 1 << 20 };
    before.session.send(open, encodeKernelPayload({ parameters: kernel.parameters }));
    const chunks = { start: 0, end: 4 };
    before.session.send({ type: "lease", job: "j", epoch: 1, chunks, isCareful: false });
    await next(({ type }) => type === "blockWanted");
    before.session.terminate("the head is gone");
    await before.ended;

    const { session } = await join("second");
    session.send({ type: "adopt", job: "j", epoch: 7, keeps: [{ start: 2, end: 4 }] });
    expect(await next(({ type }) => type === "blockWanted")).toMatchObject({ block: 1 });
    const block = new Uint8Array(signals.slabs[0], 2 * rowBytes, 2 * rowBytes);
    session.send({ type: "block", job: "j", block: 1, offset: 0, crc: crc32(block) }, block);
    const isLast = (message: FromAgent) =>
      message.type === "result" && message.completes?.end === 4;
    expect(await next(isLast)).toMatchObject({ epoch: 7 });
  }, 20_000);
});
