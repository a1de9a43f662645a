/** Hosts with a network of their own each, on one switch: network namespaces, where this machine permits them. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";

const ip = (...words: string[]) => spawnSync("ip", words, { encoding: "utf8" });

function must(...words: string[]): void {
  const { status, stderr } = ip(...words);
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
}

export class NetworkHosts {
  readonly #prefix: string;
  readonly #count: number;

  private constructor(prefix: string, count: number) {
    this.#prefix = prefix;
    this.#count = count;
  }

  /** Why there can be none; undefined where they can be had. */
  static missing(): string | undefined {
    const probe = `fp${process.pid}`;
    const { status, stderr, error } = ip("netns", "add", probe);
    if (error !== undefined) return "there is no `ip` (package iproute2)";
    if (status !== 0) return `network namespaces are not permitted here (${stderr.trim()})`;
    const link = ip("-n", probe, "link", "add", "br0", "type", "bridge");
    ip("netns", "del", probe);
    return link.status === 0 ? undefined : "there are no bridges here";
  }

  /** Hosts 1 to `count`; nobody else sees their network. */
  static create(count: number): NetworkHosts {
    const hosts = new NetworkHosts(`f${process.pid}`, count);
    const hub = hosts.#name(0);
    must("netns", "add", hub);
    must("-n", hub, "link", "add", "br0", "type", "bridge");
    must("-n", hub, "link", "set", "br0", "up");
    for (let host = 1; host <= count; host++) {
      const name = hosts.#name(host);
      must("netns", "add", name);
      const cable = ["type", "veth", "peer", "name", "eth0", "netns", name];
      must("-n", hub, "link", "add", `v${host}`, ...cable);
      must("-n", hub, "link", "set", `v${host}`, "master", "br0", "up");
      must("-n", name, "link", "set", "lo", "up");
      must("-n", name, "addr", "add", `${hosts.address(host)}/24`, "dev", "eth0");
      must("-n", name, "link", "set", "eth0", "up");
    }
    return hosts;
  }

  address(host: number): string {
    return `10.79.0.${10 + host}`;
  }

  /** A process on a host, which can speak with this one by `send` and messages. */
  start(host: number, script: string, ...words: string[]): ChildProcess {
    const space = `--net=/run/netns/${this.#name(host)}`;
    return spawn("nsenter", [space, process.execPath, script, ...words], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  /** Pulls a host's cable, or puts it in again. */
  cable(host: number, state: "down" | "up"): void {
    must("-n", this.#name(0), "link", "set", `v${host}`, state);
  }

  close(): void {
    for (let host = 0; host <= this.#count; host++) ip("netns", "del", this.#name(host));
  }

  #name(host: number): string {
    return `${this.#prefix}-${host}`;
  }
}
