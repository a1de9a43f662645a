/** A worker whose system has no memory left for a fit that its budget allows. */
import { SlabAllocator, SystemMemoryError } from "@fascicle/object-store";
import { connect, fitChunked } from "@fascicle/runtime";
import { dial, parseJoinString } from "@fascicle/transport";
import { Agent } from "@fascicle/worker";
import { afterEach, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { Home } from "../support/cli.ts";
import { testModel } from "../support/models.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** As a system gives it beside programs that take much and then end: not the first times. */
class ScarceMemory extends SlabAllocator {
  refusals: number;

  constructor(refusals: number) {
    super(64 << 20);
    this.refusals = refusals;
  }

  override allocate(bytes: number): SharedArrayBuffer {
    if (this.refusals-- > 0) throw SystemMemoryError.ofBytes(bytes);
    return super.allocate(bytes);
  }
}

const model = testModel({ voxels: 100 });

async function fitWith(refusals: number) {
  const home = new Home();
  ends.push(() => home.close());
  const { head, join } = await home.head("--cpus", "0");
  const memory = new ScarceMemory(refusals);
  const host = {
    ...{ hostName: "here", pid: process.pid, slots: 1, machine: "here", physicalCores: 1 },
    ...{ memoryBytes: 1 << 30, objectMemoryBytes: memory.limitBytes, version: "test" },
  };
  const kernelModules = new Map([[model.kernel.module, model.kernel.module]]);
  const agent = new Agent({ host, memory, kernelModules, log: () => {} });
  ends.push(() => agent.stop());
  void agent.attach(await dial(parseJoinString(join), "agent"), "scarce");
  const cluster = await connect(join);
  ends.push(() => cluster.close());
  const fit = await fitChunked(model, 10, { engine: "cluster", cluster, waitSeconds: 1 });
  return { fit, head };
}

describe("a worker that has no memory for a fit", () => {
  it("is tried again, and the driver waits for it", async () => {
    const { fit, head } = await fitWith(2);
    const local = await fitChunked(model, 10, { engine: "local" });
    expect(hashOfMaps(fit)).toBe(hashOfMaps(local));
    const shortages = head.stderr.match(/The system did not give \S+ MiB of memory/g);
    expect(shortages).toHaveLength(2);
  }, 30_000);
});
