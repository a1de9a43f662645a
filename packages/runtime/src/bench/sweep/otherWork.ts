/** What other processes take of this machine while something is measured. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { sessionSeconds, ticksPerSecond } from "./sessions.ts";

export class OtherWork {
  readonly #session: number | undefined;
  readonly #begunMs = performance.now();
  readonly #busySeconds = busySeconds();
  readonly #ownSeconds: number;

  /** `session`: the leader of processes that count as this one's. */
  constructor(session?: number) {
    this.#session = session;
    this.#ownSeconds = this.#own();
  }

  /**
   * The share of all processors that others used since this was made; undefined where the system does not tell. What
   * the host of a virtual machine takes away counts.
   */
  share(): number | undefined {
    const busy = busySeconds();
    if (busy === undefined || this.#busySeconds === undefined) return undefined;
    const processors = cpus().length;
    const seconds = (performance.now() - this.#begunMs) / 1000;
    // Up to a tick of each processor may be rounding.
    const rounding = processors / ticksPerSecond;
    const others = busy - this.#busySeconds - (this.#own() - this.#ownSeconds) - rounding;
    return Math.min(1, Math.max(0, others / (seconds * processors)));
  }

  #own(): number {
    const { user, system } = process.cpuUsage();
    return (
      (user + system) / 1e6 + (this.#session === undefined ? 0 : sessionSeconds(this.#session))
    );
  }
}

/** Processor time of all processes since the system started. */
function busySeconds(): number | undefined {
  try {
    const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0];
    const [user, nice, system, , , irq, softirq, steal] = line.split(/\s+/).slice(1).map(Number);
    return (user + nice + system + irq + softirq + (steal || 0)) / ticksPerSecond;
  } catch {
    return undefined;
  }
}
