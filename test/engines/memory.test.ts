/** A worker whose system has no memory left for a fit that its budget allows. */
import { type Slab, SlabPool, SystemMemoryError } from "@fascicle/object-store";
import { connect, fitChunked } from "@fascicle/runtime";
import { afterEach, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { Home } from "../support/cli.ts";
import { joinHere } from "../support/inProcessWorker.ts";
import { testModel } from "../support/models.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** As a system gives it beside programs that take much and then end: not the first times. A fit asks for two pages. */
class ScarceMemory extends SlabPool {
  refusals = 4;

  override take(bytes: number): Slab {
    if (this.refusals-- > 0) throw SystemMemoryError.ofBytes(bytes);
    return super.take(bytes);
  }
}

describe("a worker that has no memory for a fit", () => {
  it("is tried again, and the driver waits for it", async () => {
    const home = new Home();
    ends.push(() => home.close());
    const { head, join } = await home.head("--cpus", "0");
    const agent = await joinHere(join, new ScarceMemory(64 << 20));
    ends.push(() => agent.stop());
    const cluster = await connect(join);
    ends.push(() => cluster.close());
    const model = testModel({ voxels: 100 });
    const fit = await fitChunked(model, 10, { engine: "cluster", cluster, waitSeconds: 1 });
    expect(hashOfMaps(fit)).toBe(hashOfMaps(await fitChunked(model, 10, { engine: "local" })));
    const shortages = head.stderr.match(/The system did not give .* of memory/g);
    expect(shortages).toHaveLength(2);
  }, 30_000);
});
