import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner } from "@fascicle/object-store";
import { newToken } from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UsageError } from "../errors.ts";
import { StateDirectory } from "./stateDirectory.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  path = join(folder, "state");
});
afterEach(() => rmSync(folder, { recursive: true }));

const claimOf = (changes: object) => JSON.stringify({ ...currentOwner(), ...changes });

describe("the state directory of a head", () => {
  it("is one head's from the start, before there is a port to be had", async () => {
    const first = new StateDirectory(path);
    expect(await first.open()).toBeUndefined();
    const second = new StateDirectory(path);
    await expect(second.open()).rejects.toThrow(UsageError);
    await expect(second.prepare()).rejects.toThrow(/runs already \(pid \d+\): stop it/);
    await second.release();
    await first.release();
    expect(await second.open()).toBeUndefined();
    await second.release();
    expect(readdirSync(path)).toEqual([]);
  });

  it("is taken by one of many that come at once", async () => {
    const many = Array.from({ length: 20 }, () => new StateDirectory(path));
    const tries = await Promise.allSettled(many.map((directory) => directory.open()));
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(readdirSync(path)).toEqual(["claim-1"]);
    for (const directory of many) await directory.release();
    expect(readdirSync(path)).toEqual([]);
  });

  it("of a dead head goes to the next one, with its token and port", async () => {
    mkdirSync(path);
    const owner = { ...currentOwner(), startTime: "1" };
    const token = newToken();
    writeFileSync(join(path, "head.json"), JSON.stringify({ token, port: 6399, owner }));
    writeFileSync(join(path, "claim-7"), claimOf({ startTime: "1" }));
    // One that died while it wrote.
    writeFileSync(join(path, "claim-8.12"), "");
    const next = new StateDirectory(path);
    expect(await next.deadForMs()).toBeGreaterThanOrEqual(0);
    expect(await next.open()).toMatchObject({ token, port: 6399 });
    expect(readdirSync(path).sort()).toEqual(["claim-8", "head.json"]);
    expect(await next.deadForMs()).toBeUndefined();
    await next.release();
  });

  it("of a head that cannot be seen from here is refused while that is heard of, and then taken", async () => {
    mkdirSync(path);
    const claim = join(path, "claim-3");
    writeFileSync(claim, claimOf({ pid: 1, pidNamespace: "pid:[1]", hostName: "container" }));
    const touching = setInterval(() => utimesSync(claim, new Date(), new Date()), 1_000);
    const next = new StateDirectory(path);
    try {
      await expect(next.open()).rejects.toThrow(/runs already \(pid 1 on container\): stop it/);
    } finally {
      clearInterval(touching);
    }
    expect(readdirSync(path)).toEqual(["claim-3"]);
    // It died: of two who come for its place, one gets it.
    const rival = new StateDirectory(path);
    const tries = await Promise.allSettled([next.open(), rival.open()]);
    expect(tries.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(readdirSync(path)).toEqual(["claim-4"]);
    for (const directory of [next, rival]) await directory.release();
  });

  it("of one that was silent for very long is taken at once, whoever it was", async () => {
    mkdirSync(path);
    writeFileSync(join(path, "claim-3"), claimOf({ hostName: "other" }));
    utimesSync(join(path, "claim-3"), 1_000_000, 1_000_000);
    const next = new StateDirectory(path);
    const sinceMs = performance.now();
    await next.open();
    expect(performance.now() - sinceMs).toBeLessThan(5_000);
    expect(readdirSync(path)).toEqual(["claim-4"]);
    await next.release();
  });

  const hasLeft = (...names: string[]) => {
    for (const name of names) writeFileSync(join(path, name), "words");
  };

  it("loses what dead heads left when its head stops in good order", async () => {
    const head = new StateDirectory(path);
    await head.open();
    head.save(newToken(), 6399);
    hasLeft("journal", "journal.new", "head.json.12.tmp", "head.log");
    head.close();
    expect(readdirSync(path).sort()).toEqual(["claim-1", "head.json"]);
    await head.release();
  });

  it("that another head took is left alone by the one that lost it", async () => {
    const before = process.env.XDG_STATE_HOME;
    process.env.XDG_STATE_HOME = folder;
    try {
      const slept = new StateDirectory(undefined);
      path = slept.path;
      await slept.open();
      slept.save(newToken(), 6399);
      const names = ["claim-2", "head.json", "head.log", "journal"];
      hasLeft("journal", "head.log");
      writeFileSync(join(path, "claim-2"), claimOf({ hostName: "other" }));
      rmSync(join(path, "claim-1"));
      slept.removeJournal();
      slept.close();
      await slept.release();
      expect(readdirSync(path).sort()).toEqual(names);
    } finally {
      if (before === undefined) delete process.env.XDG_STATE_HOME;
      else process.env.XDG_STATE_HOME = before;
    }
  });
});
