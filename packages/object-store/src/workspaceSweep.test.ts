import {
  chownSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { currentOwner, type Owner, tagOf } from "./owner.ts";
import { TestPlace } from "./testing.ts";
import { Workspace } from "./workspace.ts";
import { notedParents, noteParent } from "./workspaceRegister.ts";
import { sweepWorkspaces } from "./workspaceSweep.ts";

let place: TestPlace;
beforeEach(() => {
  place = new TestPlace();
});
afterEach(() => place.close());

const self = currentOwner();
const dead: Owner = { ...self, startTime: "1" };
const elsewhere: Owner = { ...self, pidNamespace: "pid:[1]" };

let count = 0;

/** Where a workspace of a process would be. */
function pathOf(maker: Owner): string {
  const letters = `letters${String(++count).padStart(5, "0")}`;
  const tag = tagOf(maker);
  const name = `fascicle-${maker.pid}-${letters}${tag.slice(tag.indexOf("-"))}`;
  return join(place.parent, name);
}

/** An empty one. */
function named(maker: Owner): string {
  const path = pathOf(maker);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

/** One that a process left with a file in it. */
function left(owner: Owner, changes: object = {}): string {
  const path = named(owner);
  const record = { version: 1, owner, uid: process.getuid?.(), what: "a test", ...changes };
  writeFileSync(join(path, "owner.json"), JSON.stringify(record));
  writeFileSync(join(path, "rows"), Buffer.alloc(8192));
  return path;
}

const age = (path: string, minutes: number) => {
  const at = new Date(Date.now() - minutes * 60_000);
  utimesSync(path, at, at);
};

const sweep = (options = {}) => sweepWorkspaces([place.parent], options);
const names = () => readdirSync(place.parent).map((name) => join(place.parent, name));

describe("sweeping", () => {
  it("removes what dead processes left, says whose, and strikes out the place", async () => {
    const path = left(dead);
    noteParent(place.parent);
    const found = {
      path,
      who: `pid ${dead.pid} on ${hostname()}`,
      what: "a test",
      state: "dead",
      kept: undefined,
    };
    const dry = await sweep({ dryRun: true });
    expect(dry).toMatchObject([found]);
    expect(dry[0]?.bytes).toBeGreaterThanOrEqual(8192);
    expect(names()).toEqual([path]);
    expect(notedParents()).toEqual([place.parent]);
    expect(await sweep()).toMatchObject([found]);
    expect(names()).toEqual([]);
    expect(notedParents()).toEqual([]);
    expect(await sweep()).toEqual([]);
  });

  it("leaves the living alone, and what it cannot judge", async () => {
    const workspace = await Workspace.create(place.parent, "a test");
    const strange = left(elsewhere);
    const found = await sweep();
    expect(found.map(({ state }) => state).sort()).toEqual(["alive", "unknown"]);
    expect(found.every(({ kept }) => kept !== undefined)).toBe(true);
    expect(names().sort()).toEqual([workspace.path, strange].sort());
    age(join(strange, "owner.json"), 61);
    await sweep();
    expect(names()).toEqual([workspace.path]);
    await workspace.remove();
  });

  it("goes through a directory once, and not through one that is missing", async () => {
    left(dead);
    const link = join(place.path, "link");
    symlinkSync(place.parent, link);
    const parents = [place.parent, link, join(place.path, "missing"), `${place.parent}/`];
    expect(await sweepWorkspaces(parents)).toHaveLength(1);
  });

  it("finishes what a dead sweeper began", async () => {
    const path = left(dead);
    const gone = `${path}.gone-${tagOf(dead)}`;
    mkdirSync(gone);
    for (const name of ["owner.json", "rows"]) {
      writeFileSync(join(gone, name), readFileSync(join(path, name)));
    }
    // One died after all but the directory itself.
    mkdirSync(`${pathOf(dead)}.gone-${tagOf(dead)}`);
    const busy = `${pathOf(dead)}.gone-${tagOf(self)}`;
    mkdirSync(busy);
    await sweep();
    expect(names()).toEqual([busy]);
  });
});

describe("what is being made", () => {
  it("is left alone while its maker lives, and goes when that is dead", async () => {
    const living = named(self);
    const orphan = named(dead);
    writeFileSync(join(orphan, "owner.json.tmp"), "{");
    await sweep();
    expect(names()).toEqual([living]);
    age(living, 61);
    await sweep();
    expect(names()).toEqual([living]);
  });

  it("by a process that cannot be seen from here is left alone for an hour", async () => {
    const path = named(elsewhere);
    expect(await sweep()).toMatchObject([{ path, state: "unknown" }]);
    age(path, 61);
    await sweep();
    expect(names()).toEqual([]);
  });
});

describe("what is no workspace of ours", () => {
  it("stays: other names, other content, other users'", async () => {
    const kept: string[] = [];
    for (const name of ["fascicle-test-abc", "fascicle-1-short-1-000000000000", "data"]) {
      mkdirSync(join(place.parent, name));
      writeFileSync(join(place.parent, name, "owner.json"), JSON.stringify({ owner: dead }));
      kept.push(join(place.parent, name));
    }
    const full = named(dead);
    writeFileSync(join(full, "thesis.tex"), "words");
    kept.push(
      full,
      left(dead, { version: 2 }),
      left(dead, { owner: "me" }),
      left(dead, { uid: 77 }),
    );
    const damaged = named(dead);
    writeFileSync(join(damaged, "owner.json"), "{");
    const file = `${damaged.replace("letters", "afile00")}`;
    writeFileSync(file, "");
    kept.push(damaged, file);
    const found = await sweep();
    expect(found.every(({ state }) => state === "unknown")).toBe(true);
    expect(found).toHaveLength(4);
    expect(names().sort()).toEqual(kept.sort());
  });

  it("stays where the directory is another user's, whatever it says", async ({ skip }) => {
    if (process.getuid?.() !== 0) skip("only root can give directories away");
    const path = left(dead);
    chownSync(path, 12_345, 12_345);
    const other = left(dead);
    chownSync(join(other, "owner.json"), 12_345, 12_345);
    expect(await sweep()).toMatchObject([{ path: other, state: "unknown" }]);
    expect(names().sort()).toEqual([path, other].sort());
  });

  it("is not reached through links", async () => {
    const target = join(place.path, "target");
    mkdirSync(join(target, "deep"), { recursive: true });
    writeFileSync(join(target, "deep", "file"), "words");
    writeFileSync(join(target, "owner.json"), "{}");
    // In the place of a workspace, of what is in one, and of what says whose it is.
    const link = named(dead);
    rmSync(link, { recursive: true });
    symlinkSync(target, link);
    const holder = left(dead);
    symlinkSync(target, join(holder, "directory"));
    symlinkSync(join(target, "deep", "file"), join(holder, "file"));
    const liar = named(dead);
    writeFileSync(join(target, "true.json"), readFileSync(join(holder, "owner.json")));
    symlinkSync(join(target, "true.json"), join(liar, "owner.json"));
    const found = await sweep();
    expect(found.map(({ path, state }) => [path, state]).sort()).toEqual(
      [
        [holder, "dead"],
        [liar, "unknown"],
      ].sort(),
    );
    expect(existsSync(holder)).toBe(false);
    expect(readFileSync(join(target, "deep", "file"), "utf8")).toBe("words");
    expect(names().sort()).toEqual([link, liar].sort());
  });
});

describe("the register", () => {
  it("forgets notes of other hosts after a month, and its own when nothing is left there", async () => {
    noteParent(place.parent);
    const folder = join(process.env.XDG_STATE_HOME ?? "", "fascicle", "workspace-places");
    const [own = ""] = readdirSync(folder);
    const strange = join(folder, `${own.slice(0, 16)}-00000000`);
    symlinkSync("/scratch/of/another", strange);
    expect(notedParents().sort()).toEqual([place.parent, "/scratch/of/another"].sort());
    await sweepWorkspaces(notedParents());
    expect(notedParents()).toEqual(["/scratch/of/another"]);
    lutimesSync(strange, 1_000_000, 1_000_000);
    notedParents();
    expect(existsSync(folder)).toBe(false);
  });
});
