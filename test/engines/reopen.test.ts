/** An agent and a head that closes a fit and opens it again at once: the two openings must not be taken for each other. */
import { crc32 } from "node:zlib";
import { SlabPool } from "@fascicle/object-store";
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

/** What an agent says to a head that has no will of its own. */
class ScriptedHead {
  readonly #heard: FromAgent[] = [];
  readonly #waiting: (() => void)[] = [];

  /** Its session with an agent that has said hello. */
  async start(): Promise<Session> {
    const token = newToken();
    let joined: Session | undefined;
    const server = await listen({
      host: "127.0.0.1",
      port: 0,
      token,
      onSession: (session) => {
        joined = session;
        session.start({
          onMessage: (raw) => {
            this.#heard.push(readFromAgent(raw));
            for (const look of this.#waiting) look();
          },
          onClose: () => {},
        });
      },
      onRefused: () => {},
    });
    ends.push(() => server.close());
    const agent = startAgent();
    const session = await dial({ host: "127.0.0.1", port: server.port, token }, "agent");
    void agent.attach(session, "a-worker");
    ends.push(() => agent.stop());
    await this.heard(({ type }) => type === "hello");
    return joined!;
  }

  heard(isWanted: (message: FromAgent) => boolean): Promise<FromAgent> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.#heard.find(isWanted);
        if (found !== undefined) resolve(found);
      };
      this.#waiting.push(look);
      look();
    });
  }
}

function startAgent(): Agent {
  const memory = new SlabPool(64 << 20);
  const host = {
    hostName: "here",
    pid: process.pid,
    slots: 1,
    machine: "here",
    physicalCores: 1,
    memoryBytes: 1 << 30,
    objectMemoryBytes: memory.limitBytes,
    version: "test",
  };
  const { module } = testModel({ voxels: 1 }).kernel;
  return new Agent({ host, memory, kernelModules: new Map([[module, module]]), log: () => {} });
}

/** One voxel takes long enough for all that follows to arrive while a thread is at it. */
const model = testModel({ voxels: 4, work: 20_000_000 });

function fitOn(session: Session, hash = model.kernel.hash) {
  const { signals, outputs, kernel } = model;
  const { width, dtype } = signals;
  const spec = {
    ...{ job: "j", model: "sums", voxelCount: 4, chunkCount: 4 },
    signals: { width, dtype, blockVoxels: 4 },
    outputs,
    kernel: { module: kernel.module, name: kernel.name, hash },
  };
  const parameters = encodeKernelPayload({ parameters: kernel.parameters });
  const block = new Uint8Array(signals.slabs[0]);
  const crc = crc32(block);
  return {
    open(epoch: number) {
      this.openWithoutSignals(epoch);
      session.send({ type: "block", job: "j", block: 0, offset: 0, crc }, block);
    },
    openWithoutSignals(epoch: number) {
      const chunks = { start: 0, end: 4 };
      const windowBytes = 1 << 20;
      session.send({ type: "open", spec, slots: 1, epoch, windowBytes }, parameters);
      session.send({ type: "lease", job: "j", epoch, chunks, isCareful: false });
    },
    adopt: (epoch: number) => session.send({ type: "adopt", job: "j", epoch, keeps: [] }),
    close: () => session.send({ type: "close", job: "j" }),
  };
}

const isLastOf = (epoch: number) => (message: FromAgent) =>
  message.type === "result" && message.epoch === epoch && message.completes?.end === 4;

describe("a fit that is closed and opened again at once", () => {
  it("is fitted, though threads were making its kernel for the first opening", async () => {
    const head = new ScriptedHead();
    const fit = fitOn(await head.start());
    fit.open(1);
    await head.heard(({ type }) => type === "blockWanted");
    fit.close();
    fit.open(2);
    expect(await head.heard(isLastOf(2))).toMatchObject({ job: "j" });
  });

  it("is fitted, though signals of the first opening were still on their way", async () => {
    const head = new ScriptedHead();
    const fit = fitOn(await head.start());
    fit.openWithoutSignals(1);
    await head.heard(({ type }) => type === "blockWanted");
    fit.close();
    fit.open(2);
    expect(await head.heard(isLastOf(2))).toMatchObject({ job: "j" });
  });

  it("is fitted, though threads were at chunks of the first opening", async () => {
    const head = new ScriptedHead();
    const fit = fitOn(await head.start());
    fit.open(1);
    await head.heard(({ type }) => type === "result");
    fit.close();
    fit.open(2);
    expect(await head.heard(isLastOf(2))).toMatchObject({ job: "j" });
  });
});

describe("a fit that cannot be opened", () => {
  it("is refused under the name that the head gave it meanwhile", async () => {
    const head = new ScriptedHead();
    const fit = fitOn(await head.start(), "other kernels");
    fit.open(1);
    fit.adopt(7);
    expect(await head.heard(({ type }) => type === "refused")).toMatchObject({ epoch: 7 });
  });
});
