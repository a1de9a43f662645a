import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AliveSocket } from "./aliveSocket.ts";
import { currentOwner, type Owner, stateOfTag, tagOf } from "./owner.ts";
import { stateOf } from "./ownerState.ts";
import { TestPlace } from "./testing.ts";

let place: TestPlace;
let directory = "";
beforeEach(() => {
  place = new TestPlace();
  directory = join(place.parent, "directory");
  mkdirSync(directory);
  writeFileSync(join(directory, "owner.json"), "{}");
});
afterEach(() => place.close());

const self = currentOwner();
const container: Owner = { ...self, pid: 1, pidNamespace: "pid:[1]", hostName: "container" };
const machine: Owner = { ...container, machineId: "another", bootId: "another", hostName: "other" };
const earlierBoot: Owner = { ...self, bootId: "another" };

const heardAgo = (minutes: number) => {
  const at = new Date(Date.now() - minutes * 60_000);
  utimesSync(join(directory, "owner.json"), at, at);
};

/** A socket whose process was killed. */
const deadSocket = () => {
  const script = `require("node:net").createServer().listen("${directory}/alive", () => process.kill(process.pid, "SIGKILL"))`;
  expect(spawnSync(process.execPath, ["-e", script]).signal).toBe("SIGKILL");
};

describe("an owner", () => {
  it("of the same process table is looked up", async () => {
    expect(await stateOf(self, directory)).toBe("alive");
    expect(await stateOf({ ...self, startTime: "1" }, directory)).toBe("dead");
    heardAgo(10_000);
    expect(await stateOf(self, directory)).toBe("alive");
  });

  it("of another container with our pid and boot is believed by its socket", async () => {
    const socket = await AliveSocket.open(directory);
    heardAgo(10_000);
    expect(await stateOf(container, directory)).toBe("alive");
    await socket?.close();
    heardAgo(0);
    expect(await stateOf(container, directory)).toBe("unknown");
    heardAgo(61);
    expect(await stateOf(container, directory)).toBe("dead");
    heardAgo(0);
    deadSocket();
    expect(await stateOf(container, directory)).toBe("dead");
  });

  it("that is stopped, with a full queue at its socket, lives", async () => {
    const script = `const server = require("node:net").createServer();
      server.listen({ path: "${directory}/alive", backlog: 1 }, () => process.kill(process.pid, "SIGSTOP"));`;
    const child = spawn(process.execPath, ["-e", script], { stdio: "ignore" });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const visitors: Socket[] = [];
    try {
      let isFull = false;
      while (!isFull) {
        const visitor = connect(`${directory}/alive`);
        visitors.push(visitor);
        const code = await new Promise((resolve) => {
          visitor.once("connect", () => resolve(""));
          visitor.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
        });
        isFull = code === "EAGAIN";
        if (code !== "") await new Promise((resolve) => setTimeout(resolve, 10));
      }
      heardAgo(61);
      expect(await stateOf(container, directory)).toBe("alive");
    } finally {
      for (const visitor of visitors) visitor.destroy();
      child.kill("SIGKILL");
      await exited;
    }
    expect(await stateOf(container, directory)).toBe("dead");
  });

  it("of another machine is dead after an hour of silence, and not as long as its socket answers", async () => {
    deadSocket();
    expect(await stateOf(machine, directory)).toBe("unknown");
    heardAgo(59);
    expect(await stateOf(machine, directory)).toBe("unknown");
    heardAgo(61);
    expect(await stateOf(machine, directory)).toBe("dead");
    rmSync(join(directory, "alive"));
    expect(await stateOf(machine, directory)).toBe("dead");
    const socket = await AliveSocket.open(directory);
    heardAgo(61);
    expect(await stateOf(machine, directory)).toBe("alive");
    await socket?.close();
  });

  it("of an earlier boot of this machine is dead, but not one of its name that was heard of since", async ({
    skip,
  }) => {
    if (self.machineId === "") skip("this machine has no id");
    expect(await stateOf(earlierBoot, directory)).toBe("unknown");
    utimesSync(join(directory, "owner.json"), 1_000_000, 1_000_000);
    expect(await stateOf(earlierBoot, directory)).toBe("dead");
    expect(await stateOf({ ...earlierBoot, hostName: "twin" }, directory)).toBe("dead");
  });

  it("is told from one of another boot that has no name at all", async () => {
    expect(await stateOf({ ...self, bootId: "", machineId: "" }, directory)).toBe("unknown");
  });
});

describe("the tag of an owner", () => {
  it("tells of those that can be seen from here", () => {
    expect(stateOfTag(tagOf(self))).toBe("alive");
    expect(stateOfTag(tagOf({ ...self, startTime: "1" }))).toBe("dead");
    expect(stateOfTag(tagOf(container))).toBe("unknown");
    expect(stateOfTag(tagOf({ ...self, startTime: "" }))).toBe("unknown");
    expect(stateOfTag("words")).toBe("unknown");
  });
});

it("a link in the place of the socket is none", async () => {
  closeSync(openSync(join(directory, "alive"), "w"));
  heardAgo(61);
  expect(await stateOf(container, directory)).toBe("dead");
});
