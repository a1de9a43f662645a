import type { Clock, Sleeper } from "./clock.ts";
import type { Endpoint } from "./network.ts";

export type ProcessState = "running" | "paused" | "dead";

/** A process of the simulated cluster: it can be killed, and stand still (SIGSTOP) and go on. A new start is a new object. */
export abstract class Process implements Sleeper {
  readonly name: string;
  /** The machine it runs on; a partition separates machines. */
  readonly machine: number;
  readonly clock: Clock;
  state: ProcessState = "running";
  readonly endpoints = new Set<Endpoint>();
  /** What would have woken it while it stood still. */
  readonly #held: number[] = [];

  constructor(name: string, machine: number, clock: Clock) {
    this.name = name;
    this.machine = machine;
    this.clock = clock;
  }

  /** Does what was appointed under this code. */
  protected abstract run(code: number): void;

  wake(code: number): void {
    if (this.state === "running") this.run(code);
    else if (this.state === "paused") this.#held.push(code);
  }

  pause(): void {
    if (this.state === "running") this.state = "paused";
  }

  /** Goes on: all that it missed happens now, timers first. */
  resume(): void {
    if (this.state !== "paused") return;
    this.state = "running";
    for (const code of this.#held.splice(0)) this.wake(code);
    for (const endpoint of [...this.endpoints]) endpoint.deliver();
  }

  /** Its kernel closes its connections; the peers learn of it where a network is left to tell them. */
  kill(): void {
    if (this.state === "dead") return;
    this.state = "dead";
    this.#held.length = 0;
    for (const endpoint of [...this.endpoints]) endpoint.abandon();
  }
}
