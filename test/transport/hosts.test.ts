/** Blocks between hosts that have a network each, whose cables are pulled and whose processes are killed. */
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type DataAddress, newToken } from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sleep } from "../support/cli.ts";
import { NetworkHosts } from "../support/networkHosts.ts";

const missing = NetworkHosts.missing();
const script = fileURLToPath(new URL("dataPeer.mjs", import.meta.url));
const token = newToken();
const blockBytes = 128 << 20;

interface Note {
  readonly address?: DataAddress;
  readonly hash?: string;
  readonly reached?: number;
  readonly failed?: string;
  readonly ready?: boolean;
  readonly opened?: number;
}

/** A process on a host, and what it tells. */
class Peer {
  readonly child: ChildProcess;
  readonly notes: Note[] = [];
  onNote: (note: Note) => void = () => {};

  constructor(hosts: NetworkHosts, host: number, role: "source" | "target") {
    this.child = hosts.start(host, script, role, hosts.address(host), token, String(blockBytes));
    this.child.on("message", (note: Note) => {
      this.notes.push(note);
      this.onNote(note);
    });
    peers.push(this);
  }

  async told<K extends keyof Note>(key: K): Promise<NonNullable<Note[K]>> {
    const untilMs = performance.now() + 40_000;
    for (;;) {
      const value = this.notes.find((note) => note[key] !== undefined)?.[key];
      if (value !== undefined) return value as NonNullable<Note[K]>;
      if (performance.now() > untilMs) throw new Error(`never told ${key}`);
      await sleep(10);
    }
  }

  reached(): number {
    return Math.max(0, ...this.notes.map(({ reached }) => reached ?? 0));
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await exited;
  }
}

const peers: Peer[] = [];
let hosts: NetworkHosts;

describe.skipIf(missing !== undefined)(`blocks between hosts ${missing ?? ""}`, () => {
  beforeEach(() => {
    hosts = NetworkHosts.create(3);
  });

  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer.end()));
    hosts.close();
  });

  async function threeHosts() {
    const first = new Peer(hosts, 1, "source");
    const second = new Peer(hosts, 2, "source");
    const target = new Peer(hosts, 3, "target");
    await target.told("ready");
    return { first, second, target };
  }

  it("come from another where their source is killed half way", async () => {
    const { first, second, target } = await threeHosts();
    target.onNote = ({ reached, failed }) => {
      if (reached !== undefined && reached > blockBytes / 8) first.child.kill("SIGKILL");
      if (failed !== undefined) void second.told("address").then((to) => target.child.send(to));
    };
    target.child.send(await first.told("address"));
    expect(await target.told("hash")).toBe(await second.told("hash"));
    await target.told("failed");
    const failedAt = target.notes.findIndex(({ failed }) => failed !== undefined);
    const before = target.notes[failedAt - 1].reached!;
    expect(before).toBeLessThan(blockBytes);
    // The rest only.
    expect(target.notes[failedAt + 1].reached).toBeGreaterThan(before);
  });

  it("wait for a cable that is put in again", async () => {
    const { first, target } = await threeHosts();
    const begun = new Promise<void>((resolve) => {
      target.onNote = ({ reached }) => {
        if (reached !== undefined) resolve();
      };
    });
    target.child.send(await first.told("address"));
    await begun;
    hosts.cable(1, "down");
    await sleep(2_000);
    hosts.cable(1, "up");
    expect(await target.told("hash")).toBe(await first.told("hash"));
    expect(target.notes.some(({ failed }) => failed !== undefined)).toBe(false);
  });

  it("are not waited for for ever where a cable stays out", async () => {
    const { first, target } = await threeHosts();
    const address = await first.told("address");
    const begun = new Promise<void>((resolve) => {
      target.onNote = ({ reached }) => {
        if (reached !== undefined) resolve();
      };
    });
    target.child.send(address);
    await begun;
    hosts.cable(1, "down");
    // Unless all had come before the cable was out.
    const end = await Promise.race([target.told("failed"), target.told("hash")]);
    if (target.reached() < blockBytes) expect(end).toMatch(/has said nothing for 8 s/);
  });
});

it.skipIf(missing === undefined)(`blocks between hosts are not tried: ${missing}`, () => {});
