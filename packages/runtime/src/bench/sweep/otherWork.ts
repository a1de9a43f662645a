/** What other processes take of this machine while something is measured. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** The kernel counts in hundredths of a second, whatever its own clock. */
const ticksPerSecond = 100;

export class OtherWork {
  readonly #begunMs = performance.now();
  readonly #busySeconds = busySeconds();
  readonly #own = process.cpuUsage();

  /**
   * The share of all processors that others than this process used since this was made; undefined where the system
   * does not tell. What the host of a virtual machine takes away counts.
   */
  share(): number | undefined {
    const busy = busySeconds();
    if (busy === undefined || this.#busySeconds === undefined) return undefined;
    const { user, system } = process.cpuUsage(this.#own);
    const seconds = (performance.now() - this.#begunMs) / 1000;
    const processors = cpus().length;
    // Up to a tick of each processor may be rounding.
    const rounding = processors / ticksPerSecond;
    const others = busy - this.#busySeconds - (user + system) / 1e6 - rounding;
    return Math.min(1, Math.max(0, others / (seconds * processors)));
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
