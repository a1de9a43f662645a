import { blockVoxelsFor, currentOwner } from "@fascicle/object-store";
import {
  type ClusterStatus,
  dial,
  encodeValue,
  type FitObjects,
  listedFitsLimit,
  newToken,
  type Session,
  type WorkerMemory,
} from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Head } from "./head.ts";

const token = newToken();
let head: Head;
beforeEach(async () => {
  head = await Head.start({ host: "127.0.0.1", port: 0, token, log: () => {} });
});
afterEach(() => head.stop());

const signals = { voxelCount: 100, width: 2, dtype: "float32" as const };
const spec = {
  job: "a-fit",
  model: "sums",
  voxelCount: 100,
  chunkCount: 10,
  signals: { width: 2, dtype: "float32", blockVoxels: blockVoxelsFor(signals) },
  outputs: [{ name: "sum", width: 1, dtype: "float64", units: "1" }],
  kernel: { module: "m", name: "sums", hash: "h" },
};

const eventually = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};

/** A worker, as far as the head can see, and how its session ended. */
async function joined(agent: string): Promise<{ session: Session; ended: Promise<string> }> {
  const session = await dial({ host: "127.0.0.1", port: head.port, token }, "agent");
  const ended = new Promise<string>((onClose) => session.start({ onMessage: () => {}, onClose }));
  const host = {
    ...{ agent, hostName: agent, pid: 1, slots: 2, machine: agent, physicalCores: 2 },
    ...{ memoryBytes: 1 << 30, objectMemoryBytes: 8 << 20, version: "test" },
  };
  session.send({ type: "hello", host, owner: currentOwner(), key: newToken(), holds: [] });
  await eventually(() => head.agents.has(agent));
  return { session, ended };
}

const waiting: FitObjects = {
  ...{ job: spec.job, blocks: 3, bytes: 6 << 20, pinnedBytes: 5 << 20 },
  ...{ spilledBytes: 4 << 20, restoredBytes: 3 << 20, waitingPortions: 2, wantedBytes: 2 << 20 },
};
const full: WorkerMemory = {
  ...{ objectBytes: 6 << 20, heldBytes: 7 << 20, objects: 3, fits: [waiting] },
  spill: { directory: "/disk", bytes: 4 << 20, peakBytes: 5 << 20, limitBytes: 9 << 20 },
};

async function statusWhen(isSo: (status: ClusterStatus) => boolean): Promise<ClusterStatus> {
  await eventually(() => isSo(head.status()));
  return head.status();
}

describe("what the head tells of memory", () => {
  it("is what its workers said last, added up, and nothing of those that left", async () => {
    const [one, two] = [await joined("one"), await joined("two")];
    expect(head.status()).toMatchObject({
      objects: { count: 0, bytes: 0, limitBytes: 16 << 20 },
      spillBytes: 0,
      hosts: [{ fits: [], spillLimitBytes: 0, waitsFor: [] }, {}],
    });
    one.session.send({ type: "memory", ...full });
    two.session.send({ type: "memory", ...full, spill: undefined });
    const status = await statusWhen(({ objects }) => objects.count === 6);
    expect(status.objects).toEqual({ count: 6, bytes: 12 << 20, limitBytes: 16 << 20 });
    expect(status.spillBytes).toBe(4 << 20);
    expect(status.hosts[0]).toMatchObject({
      ...full,
      ...{ objectLimitBytes: 8 << 20, spillBytes: 4 << 20, spillLimitBytes: 9 << 20 },
    });
    one.session.close("done");
    two.session.close("done");
    await statusWhen(({ objects, spillBytes }) => objects.limitBytes + spillBytes === 0);
  });

  it("says what waits for memory or disk, with numbers and what to do, in status and why", async () => {
    const { session } = await joined("one");
    const driver = await dial({ host: "127.0.0.1", port: head.port, token }, "client");
    const answers: { explanations?: { id: string; sentence: string }[] }[] = [];
    driver.start({ onMessage: (message) => answers.push(message as never), onClose: () => {} });
    const self = { key: newToken(), owner: currentOwner() };
    driver.send({ type: "submit", spec, settled: [], ...self }, encodeValue({}));
    const spill = { ...full.spill!, waitsSince: "it is full" };
    const cannotSpill = "It is broken; mend it.";
    session.send({ type: "memory", ...full, fits: [{ ...waiting, cannotSpill }], spill });
    const { hosts } = await statusWhen((status) => status.hosts[0].waitsFor.length > 0);
    const numbers =
      "wait for object memory (6 MiB of 8 MiB are taken, 5 MiB by chunks in work or to be sent; the next needs 2 MiB more), and 0 of 2 slots at work on it: raise --object-memory there, or use more chunks.";
    const again = `must leave memory are not kept on disk and come from their source again: ${cannotSpill}`;
    expect(hosts[0].waitsFor).toEqual([
      `2 portions of the chunks of fit a-fit ${numbers}`,
      `Blocks of fit a-fit that ${again}`,
      "Writing to /disk (4 MiB of 9 MiB) waits, since it is full: raise --spill-limit there, or free some space.",
    ]);
    driver.send({ type: "why", request: 1 });
    await eventually(() => answers.some(({ explanations }) => explanations !== undefined));
    const told = answers.find(({ explanations }) => explanations !== undefined)!.explanations!;
    const sentenceOf = (id: string) => told.find((each) => each.id === id)?.sentence;
    expect(sentenceOf("a-fit")).toContain(` On one (pid 1): 2 portions of its chunks ${numbers}`);
    expect(sentenceOf("a-fit")).toContain(`Its blocks that ${again}`);
    expect(sentenceOf("one")).toContain(`Blocks of fit a-fit that ${again} Writing to /disk`);
    driver.close("done");
    session.close("done");
  });

  it("says of a fit that its driver has no room on disk, until it has", async () => {
    const driver = await dial({ host: "127.0.0.1", port: head.port, token }, "client");
    driver.start({ onMessage: () => {}, onClose: () => {} });
    const self = { key: newToken(), owner: currentOwner() };
    driver.send({ type: "submit", spec, settled: [], ...self }, encodeValue({}));
    driver.send({ type: "diskWait", job: spec.job, reason: "it is full" });
    const waitsForDisk =
      "Its results wait for room on the disk of its driver, since it is full: raise --spill-limit of the fit, free some space there, or give it another --spill-dir.";
    const { jobs } = await statusWhen(({ jobs }) => jobs[0]?.waitsForDisk !== undefined);
    expect(jobs[0]).toMatchObject({ waitsForDisk });
    driver.send({ type: "diskWait", job: spec.job });
    await statusWhen(({ jobs }) => jobs[0].waitsForDisk === undefined);
    driver.close("done");
  });

  it("is bounded: a worker that lists more than it may loses its session", async () => {
    const { session, ended } = await joined("one");
    const fits = Array.from({ length: listedFitsLimit + 1 }, (_, n) => ({
      ...waiting,
      job: `${n}`,
    }));
    session.send({ type: "memory", ...full, fits });
    expect(await ended).toMatch(/fits/);
    expect(head.agents.size).toBe(0);
  });
});
