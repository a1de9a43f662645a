/** Makes things go wrong, as the scenario says, until its faults end; then mends everything. */

import { reconnectMs } from "./client.ts";
import type { Sleeper } from "./clock.ts";
import type { Cluster } from "./cluster.ts";
import { type FaultKind, faultKinds } from "./faultKinds.ts";
import type { HostProcess } from "./host.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

const minuteMs = 60_000;

/** A silent host must be given up within this. */
const noticedWithinMs = 10_000;

export class Faults implements Sleeper {
  readonly #world: World;
  readonly #cluster: Cluster;
  readonly #draws;
  readonly counts = new Map<FaultKind, number>();
  #isOver = false;

  constructor(world: World, cluster: Cluster) {
    this.#world = world;
    this.#cluster = cluster;
    this.#draws = world.random("faults");
    for (const [code, kind] of faultKinds.entries()) this.#appoint(code, kind);
    world.clock.at(world.scenario.faultsEndMs, this, faultKinds.length);
  }

  #appoint(code: number, kind: FaultKind): void {
    const perMinute = this.#world.scenario.faults[kind];
    if (perMinute === undefined) return;
    const meanMs = minuteMs / perMinute;
    this.#world.clock.after(this.#draws.between(0, 2 * meanMs), this, code);
  }

  wake(code: number): void {
    if (this.#isOver) return;
    const kind = faultKinds[code];
    if (kind === undefined) {
      this.#mend();
      return;
    }
    this.#world.trace.note("faults", kind);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.#strike(kind);
    this.#appoint(code, kind);
  }

  #strike(kind: FaultKind): void {
    const { referee, network } = this.#world;
    const cluster = this.#cluster;
    const draws = this.#draws;
    switch (kind) {
      case "threadCrash":
        this.#host()?.crashThread();
        return;
      case "hostKill":
        this.#host()?.kill();
        return;
      case "hostLost": {
        const host = this.#host();
        if (host === undefined) return;
        network.vanish(host);
        host.kill();
        this.#mustBeNoticed(host.agent);
        return;
      }
      case "hostPause":
        this.#pause(this.#host());
        return;
      case "hostDrain": {
        const host = this.#host();
        if (host !== undefined) cluster.drainHost(host);
        return;
      }
      case "memoryOut":
        this.#host()?.failChunk("outOfMemory");
        return;
      case "executorOut":
        this.#host()?.failChunk("executor");
        return;
      case "hostSessionLost": {
        const host = this.#host();
        if (host === undefined || host.state !== "running") return;
        host.session.giveUp("it was taken for dead");
        this.#troubleWhileAway(host);
        return;
      }
      case "driverSessionLost": {
        referee.driversLost++;
        const driver = draws.pick(cluster.drivers);
        if (driver.state === "running") driver.session.giveUp("it was taken for dead");
        const host = this.#host();
        if (host !== undefined) this.#troubleWhileAway(host);
        return;
      }
      case "kernelFails":
        // Rarely: it ends a fit.
        if (draws.chance(0.1)) this.#host()?.failChunk("application");
        return;
      case "actorCrash": {
        const host = this.#host();
        const actors = host?.actors.names() ?? [];
        if (actors.length > 0) host?.actors.crash(draws.pick(actors));
        return;
      }
      case "cut":
        this.#cut(true, true);
        return;
      case "halfOpen": {
        const nearLearns = draws.chance(0.5);
        this.#cut(nearLearns, !nearLearns && draws.chance(0.5));
        return;
      }
      case "stall": {
        const endpoints = network.endpoints();
        referee.driversLost++;
        if (endpoints.length > 0) network.stall(draws.pick(endpoints), draws.between(50, 12_000));
        return;
      }
      case "partition": {
        const machines = this.#machines();
        network.separate(machines);
        cluster.later(draws.between(100, 20_000), () => network.join(machines));
        referee.driversLost++;
        return;
      }
      case "headKill":
        cluster.killHead();
        return;
      case "headPause":
        referee.driversLost++;
        this.#pause(cluster.head);
        return;
      case "driverKill":
        cluster.killDriver(draws.whole(0, cluster.drivers.length - 1));
        return;
      case "driverPause":
        referee.driversLost++;
        this.#pause(draws.pick(cluster.drivers));
        return;
      case "driverSlow": {
        const driver = draws.pick(cluster.drivers);
        driver.storeMs = draws.pick([1, 20, 200]);
        return;
      }
      case "clockStep": {
        const stepMs = draws.pick([-3_600_000, -5_000, 5_000, 3_600_000]);
        cluster.head.stepClock(stepMs);
        const host = this.#host();
        if (host !== undefined) host.wallOffsetMs -= stepMs;
        return;
      }
      case "diskSlow":
        cluster.disk.syncMs = draws.pick([10, 300, 5_000]);
        return;
      case "diskFull":
        cluster.disk.limitBytes = cluster.disk.sizeBytes + draws.whole(0, 500);
        return;
      case "staleWord":
        cluster.head.repeatStale(draws);
    }
  }

  /** What happens while a session is away, and is told to nobody, must come out all the same. */
  #troubleWhileAway(host: HostProcess): void {
    for (let i = this.#draws.whole(0, 3); i > 0; i--) {
      const kind = this.#draws.pick(["outOfMemory", "outOfMemory", "executor", "drain"] as const);
      // Often between its new hello and the answer.
      const answerMs = 4 * this.#world.scenario.network.latencyMs.high;
      const afterHelloMs = reconnectMs + this.#draws.between(0, answerMs);
      const isLate = this.#draws.chance(0.6);
      this.#cluster.later(isLate ? afterHelloMs : this.#draws.between(0, 1_000), () => {
        if (host.state !== "running") return;
        if (kind === "drain") this.#cluster.drainHost(host);
        else host.failChunk(kind);
      });
    }
  }

  /** A host that fell silent is known for dead in time, if the head does not stand still itself. */
  #mustBeNoticed(agent: string): void {
    const { head } = this.#cluster;
    const { nowMs } = this.#world.clock;
    this.#cluster.later(noticedWithinMs, () => {
      const wasUndisturbed = head.state === "running" && head.disturbedMs < nowMs;
      if (!wasUndisturbed || !head.scheduler.agents.has(agent)) return;
      this.#world.referee.violated(`${agent} is silent for ${noticedWithinMs} ms, and not dead`);
    });
  }

  #host(): HostProcess | undefined {
    const living = this.#cluster.livingHosts();
    return living.length === 0 ? undefined : this.#draws.pick(living);
  }

  #pause(process: Process | undefined): void {
    if (process === undefined || process.state !== "running") return;
    process.pause();
    const forMs = this.#draws.pick([100, 1_000, 5_000, 15_000]) * this.#draws.between(0.5, 1.5);
    this.#cluster.later(forMs, () => process.resume());
  }

  #cut(nearLearns: boolean, farLearns: boolean): void {
    const endpoints = this.#world.network.endpoints();
    if (endpoints.length === 0) return;
    this.#world.referee.driversLost++;
    this.#world.network.cut(this.#draws.pick(endpoints), nearLearns, farLearns);
  }

  /** One or a few machines, of hosts and drivers. */
  #machines(): number[] {
    const { hosts } = this.#cluster;
    const count = hosts.length + this.#cluster.drivers.length;
    const share = this.#draws.pick([1 / count, 0.2, 0.6]);
    const machines: number[] = [];
    for (let machine = 1; machine <= count; machine++) {
      if (this.#draws.chance(share)) machines.push(machine);
    }
    return machines;
  }

  #mend(): void {
    this.#isOver = true;
    const { network, scenario, trace } = this.#world;
    const cluster = this.#cluster;
    trace.note("faults", "end");
    network.join(Array.from({ length: scenario.hosts.length + 50 }, (_, machine) => machine));
    network.mend();
    cluster.disk.limitBytes = Number.POSITIVE_INFINITY;
    cluster.disk.syncMs = scenario.syncMs;
    cluster.head.resume();
    for (const host of cluster.livingHosts()) host.resume();
    for (const [i, driver] of cluster.drivers.entries()) {
      driver.resume();
      driver.storeMs = scenario.drivers[i].storeMs;
    }
  }
}
