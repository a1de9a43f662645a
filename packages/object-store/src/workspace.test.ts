import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { knock } from "./aliveSocket.ts";
import { currentOwner } from "./owner.ts";
import { TestPlace } from "./testing.ts";
import { Workspace } from "./workspace.ts";
import { WorkspaceError } from "./workspaceErrors.ts";
import { notedParents } from "./workspaceRegister.ts";

let place: TestPlace;
beforeEach(() => {
  place = new TestPlace();
});
afterEach(() => place.close());

const state = () => process.env.XDG_STATE_HOME ?? "";

describe("a workspace", () => {
  it("is its user's alone, says whose it is and answers who knocks", async () => {
    const workspace = await Workspace.create(place.parent, "spilled signals");
    expect(statSync(workspace.path).mode & 0o777).toBe(0o700);
    expect(readdirSync(workspace.path).sort()).toEqual(["alive", "owner.json"]);
    const record = JSON.parse(readFileSync(join(workspace.path, "owner.json"), "utf8"));
    expect(record).toMatchObject({ owner: currentOwner(), what: "spilled signals" });
    expect(await knock(workspace.path)).toBe("accepted");
    expect(notedParents()).toEqual([place.parent]);
    await workspace.remove();
    expect(readdirSync(place.parent)).toEqual([]);
    expect(existsSync(state()) ? readdirSync(state()) : []).toEqual([]);
  });

  it("goes with all that is in it, as often as it is told to", async () => {
    const workspace = await Workspace.create(place.parent, "a test");
    const other = await Workspace.create(place.parent, "another");
    mkdirSync(join(workspace.path, "deep", "er"), { recursive: true });
    writeFileSync(join(workspace.path, "deep", "er", "file"), Buffer.alloc(100_000));
    const bytes = await workspace.bytes();
    expect(bytes).toBeGreaterThanOrEqual(100_000);
    expect(bytes).toBeLessThan(120_000);
    await Promise.all([workspace.remove(), workspace.remove()]);
    await workspace.remove();
    expect(await workspace.bytes()).toBe(0);
    expect(readdirSync(place.parent)).toHaveLength(1);
    expect(notedParents()).toEqual([place.parent]);
    await other.remove();
    expect(notedParents()).toEqual([]);
  });

  it("may be taken away meanwhile, alone or with all around it", async () => {
    const workspace = await Workspace.create(place.parent, "a test");
    rmSync(workspace.path, { recursive: true });
    await workspace.remove();
    const other = await Workspace.create(place.parent, "a test");
    rmSync(place.parent, { recursive: true });
    await other.remove();
    expect(notedParents()).toEqual([]);
  });

  it("has a socket however long its path is", async () => {
    const parent = join(place.parent, "x".repeat(120), "X".repeat(6), "y".repeat(120));
    mkdirSync(parent, { recursive: true });
    const workspace = await Workspace.create(parent, "a test");
    expect(existsSync(join(workspace.path, "alive"))).toBe(true);
    expect(await knock(workspace.path)).toBe("accepted");
    await workspace.remove();
    expect(readdirSync(parent)).toEqual([]);
  });
});

describe("where there can be none", () => {
  const refusal = async (parent: string) => {
    const error = await Workspace.create(parent, "a test").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkspaceError);
    expect(error).toMatchObject({ code: "SPILL_DIRECTORY" });
    expect(existsSync(state()) ? readdirSync(state()) : []).toEqual([]);
    return (error as Error).message;
  };

  it("it says so in a sentence: missing, or a file", async () => {
    const missing = join(place.path, "missing");
    expect(await refusal(missing)).toBe(
      `The spill directory ${missing} cannot be used (it does not exist): give another with --spill-dir.`,
    );
    const file = join(place.path, "file");
    writeFileSync(file, "");
    expect(await refusal(file)).toMatch(/it is not a directory/);
    expect(await refusal(join(file, "below"))).toMatch(/it is not a directory/);
  });

  const mount = (...words: string[]): boolean => {
    try {
      execFileSync("mount", [...words, place.parent], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };

  it("full or read-only", async ({ skip }) => {
    if (!mount("-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "tmpfs"))
      skip("mount is not permitted");
    try {
      for (let i = 0; i < 7; i++) writeFileSync(join(place.parent, `file-${i}`), "");
      expect(await refusal(place.parent)).toMatch(/no space is left on its disk/);
      // Room for the directory and its socket, but not for its owner's name.
      for (let i = 0; i < 4; i++) rmSync(join(place.parent, `file-${i}`));
      try {
        writeFileSync(join(place.parent, "file-6"), Buffer.alloc(1 << 20));
      } catch {
        // Full, as it should be.
      }
      expect(await refusal(place.parent)).toMatch(/no space is left on its disk/);
      expect(readdirSync(place.parent).sort()).toEqual(["file-4", "file-5", "file-6"]);
      mount("-o", "remount,ro");
      expect(await refusal(place.parent)).toMatch(/its file system is read-only/);
    } finally {
      execFileSync("umount", [place.parent]);
    }
  });

  it("removes nothing but itself, whatever has come to bear its name", async () => {
    const workspace = await Workspace.create(place.parent, "a test");
    const other = join(place.parent, "other");
    mkdirSync(other);
    writeFileSync(join(other, "precious"), "");
    renameSync(workspace.path, join(place.parent, "away"));
    renameSync(other, workspace.path);
    await workspace.remove();
    expect(readdirSync(workspace.path)).toEqual(["precious"]);
  });

  it("goes with a process that a signal ends, and that does not listen", () => {
    const module = new URL("../dist/workspace.js", import.meta.url).href;
    const script = `
      import { Workspace } from ${JSON.stringify(module)};
      await Workspace.create(${JSON.stringify(place.parent)}, "a script");
      process.kill(process.pid, "SIGINT");
      await new Promise((resolve) => setTimeout(resolve, 60_000));`;
    const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(ended.signal).toBe("SIGINT");
    expect(readdirSync(place.parent)).toEqual([]);
  });
});
