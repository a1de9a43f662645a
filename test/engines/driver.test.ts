/** Drivers that ask for much at once, or at a bad time. */
import { type Cluster, connect, fitChunked } from "@fascicle/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hashOfMaps } from "../support/bytes.ts";
import { Home, type Running } from "../support/cli.ts";
import { joinHere } from "../support/inProcessWorker.ts";
import { testModel } from "../support/models.ts";

const ends: (() => Promise<unknown>)[] = [];
let head: Running;
let cluster: Cluster;

beforeEach(async () => {
  const home = new Home();
  ends.push(() => home.close());
  const started = await home.head("--cpus", "0");
  head = started.head;
  const agent = await joinHere(started.join);
  ends.push(() => agent.stop());
  cluster = await connect(started.join);
  ends.push(() => cluster.close());
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe("a driver", () => {
  it("may begin more fits at once than a head takes: the others wait for their turn", async () => {
    const model = testModel({ voxels: 100 });
    const fits = await Promise.all(
      Array.from({ length: 40 }, () => fitChunked(model, 10, { engine: "cluster", cluster })),
    );
    const serial = hashOfMaps(await fitChunked(model, 10, { engine: "serial" }));
    expect(fits.filter((fit) => hashOfMaps(fit) !== serial)).toEqual([]);
    expect(head.stderr).not.toMatch(/refused a peer|is lost/);
  });

  it("that begins a fit while the head is away is told of the head and not of workers", async () => {
    head.signal("SIGKILL");
    await head.ended;
    await expect(cluster.status()).rejects.toThrow(/The head was lost/);
    const model = testModel({ voxels: 10 });
    const fit = fitChunked(model, 2, { engine: "cluster", cluster, waitSeconds: 1 });
    await expect(fit).rejects.toThrow(/The head was lost/);
  });

  it("that is stopped while it asks a silent head for its slots does not wait for the answer", async () => {
    head.signal("SIGSTOP");
    try {
      const stop = new AbortController();
      const options = { engine: "cluster", cluster, signal: stop.signal } as const;
      const fit = fitChunked(testModel({ voxels: 10 }), "auto", options).catch((error) => error);
      setTimeout(() => stop.abort(new Error("enough")), 100);
      // A head that says nothing is given up after 8 s.
      const later = new Promise((resolve) => setTimeout(resolve, 5_000, "not stopped"));
      expect(await Promise.race([fit, later])).toMatchObject({ message: "enough" });
    } finally {
      head.signal("SIGCONT");
    }
  });
});
