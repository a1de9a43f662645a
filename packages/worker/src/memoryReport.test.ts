import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlabPool, SpillSpace } from "@fascicle/object-store";
import { listedFitsLimit } from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryReport } from "./memoryReport.ts";
import { PageHost, type PageOwnerHooks } from "./pageHost.ts";
import { ThreadPool } from "./threadPool.ts";

const pageBytes = 64 << 10;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A host with room for so many pages, and a disk for so many. */
function hostOf(pages: number, pagesOnDisk: number) {
  const slabs = new SlabPool(pages * pageBytes);
  const spill = new SpillSpace({
    directory: async () => folder,
    limitBytes: pagesOnDisk * pageBytes,
    freeFloorBytes: 0,
    patienceMs: 0,
    mayFree: () => false,
  });
  const host = new PageHost({ slabs, pool: new ThreadPool(), spill, log: () => {} });
  const report = () => memoryReport(slabs, host, (owner) => owner.split("/")[0], undefined);
  return { host, report };
}

/** Opens a fit whose chunks have one page each; gives what waits until a portion has its page. */
function open(host: PageHost, owner: string) {
  const granted: number[] = [];
  const hooks = {
    load: async (page: number, into: Uint8Array) => void into.fill(page),
    granted: (request: number) => granted.push(request),
    failed: (error: Error) => {
      throw error;
    },
    gone: () => {},
  } satisfies PageOwnerHooks;
  host.open(owner, pageBytes, () => pageBytes, hooks);
  return async (request: number) => {
    while (!granted.includes(request)) await new Promise((resolve) => setTimeout(resolve, 1));
  };
}

const wants = (host: PageHost, owner: string, request: number, page: number) =>
  host.want(owner, request, [{ id: page, bytes: pageBytes, isScratch: false }]);

describe("what a worker says of its memory", () => {
  it("follows a block into memory, to disk and back, and counts what waits", async () => {
    const { host, report } = hostOf(1, 4);
    const nothing = { objectBytes: 0, heldBytes: 0, objects: 0, fits: [] };
    expect(report()).toEqual(nothing);
    const granted = open(host, "a/1");
    wants(host, "a/1", 0, 0);
    await granted(0);
    wants(host, "a/1", 1, 1);
    const one = { blocks: 1, bytes: pageBytes, pinnedBytes: pageBytes };
    const waiting = { waitingPortions: 1, wantedBytes: pageBytes };
    const here = { objectBytes: pageBytes, heldBytes: pageBytes, objects: 1 };
    const none = { spilledBytes: 0, restoredBytes: 0 };
    expect(report()).toEqual({ ...here, fits: [{ job: "a", ...one, ...none, ...waiting }] });
    host.release("a/1", 0, [0]);
    await granted(1);
    const rests = { waitingPortions: 0, wantedBytes: 0 };
    const spilled = { spilledBytes: pageBytes, restoredBytes: 0 };
    expect(report().fits).toEqual([{ job: "a", ...one, ...spilled, ...rests }]);
    host.release("a/1", 1, [1]);
    wants(host, "a/1", 2, 0);
    await granted(2);
    const both = { spilledBytes: 2 * pageBytes, restoredBytes: pageBytes };
    expect(report().fits).toEqual([{ job: "a", ...one, ...both, ...rests }]);
    await host.close("a/1");
    expect(report()).toEqual({ ...nothing, heldBytes: pageBytes });
  });

  it("says why a fit spills no more", async () => {
    const { host, report } = hostOf(1, 1);
    const granted = open(host, "a/1");
    for (const page of [0, 1, 2]) {
      wants(host, "a/1", page, page);
      await granted(page);
      host.release("a/1", page, [page]);
    }
    expect(report().fits[0]).toMatchObject({
      spilledBytes: pageBytes,
      cannotSpill: expect.stringMatching(/the spill limit of 64 KiB is reached.*--spill-limit/),
    });
    await host.close("a/1");
  });

  it("adds up the openings of a fit, and names the largest of many fits", async () => {
    const fits = listedFitsLimit + 1;
    const { host, report } = hostOf(2 * fits, 0);
    for (let n = 0; n < fits; n++) open(host, `f${n}/1`);
    for (const [request, owner] of ["f7/1", "f7/2", `f${fits - 1}/1`].entries()) {
      const granted = owner === "f7/2" ? open(host, owner) : undefined;
      wants(host, owner, request, 0);
      await granted?.(request);
    }
    const { fits: told, objects } = report();
    expect(objects).toBe(3);
    expect(told).toHaveLength(listedFitsLimit);
    expect(told.slice(0, 2)).toMatchObject([
      { job: "f7", blocks: 2, bytes: 2 * pageBytes },
      { job: `f${fits - 1}`, blocks: 1 },
    ]);
    for (let n = 0; n < fits; n++) await host.close(`f${n}/1`);
    await host.close("f7/2");
  });
});
