/** The processes of a simulated cluster, and what starts them again. */
import { carefulAfterLosses, explain } from "@fascicle/core";
import type { Sleeper } from "./clock.ts";
import { Disk } from "./disk.ts";
import { DriverProcess, type DriverStep } from "./driver.ts";
import { HeadProcess } from "./headNode.ts";
import { HostProcess } from "./host.ts";
import type { DriverAction } from "./scenario.ts";
import type { World } from "./world.ts";

/** A worker that drains goes when it has nothing more, and at the latest after this. */
const drainMs = 10_000;
const drainPollMs = 50;

/** Something to be done later that belongs to no process. */
class Errand implements Sleeper {
  readonly #run: () => void;
  constructor(run: () => void) {
    this.#run = run;
  }
  wake(): void {
    this.#run();
  }
}

export class Cluster {
  readonly #world: World;
  readonly hosts: (HostProcess | undefined)[] = [];
  readonly #hostStarts: number[] = [];
  readonly drivers: DriverProcess[] = [];
  readonly #driverStarts: number[] = [];
  readonly disk: Disk;
  head: HeadProcess;
  #headStarts = 1;
  readonly #draws;
  /** Drivers that are dead and will be started again. */
  driversToCome = 0;
  #suspectsMs = 0;

  constructor(world: World) {
    this.#world = world;
    const { scenario, clock } = world;
    this.disk = new Disk(world.random("disk"), scenario.syncMs);
    this.#draws = world.random("restarts");
    this.head = new HeadProcess("head1", world, this.disk);
    for (const [i, host] of scenario.hosts.entries()) {
      this.hosts.push(undefined);
      this.#hostStarts.push(0);
      this.later(host.joinsMs, () => this.startHost(i));
    }
    for (const [i, plan] of scenario.drivers.entries()) {
      const steps = plan.actions.map(stepOf);
      const driver = new DriverProcess(`d${i}`, this.#driverMachine(i), world, steps, plan.storeMs);
      this.drivers.push(driver);
      this.#driverStarts.push(1);
      driver.begin();
    }
    clock.nowMs = 0;
  }

  later(delayMs: number, run: () => void): void {
    this.#world.clock.after(delayMs, new Errand(run), 0);
  }

  /** Processes of hosts that are alive. */
  livingHosts(): HostProcess[] {
    return this.hosts.filter(
      (host) => host !== undefined && host.state !== "dead",
    ) as HostProcess[];
  }

  startHost(i: number): void {
    if (this.hosts[i] !== undefined && this.hosts[i].state !== "dead") return;
    const size = this.#world.scenario.hosts[i];
    const name = `h${i}.${++this.#hostStarts[i]}`;
    const restart = () => this.later(this.#draws.between(100, 5_000), () => this.startHost(i));
    const onDeath = size.diesForGood === true ? () => {} : restart;
    const host = new HostProcess(name, i + 1, this.#world, size, onDeath);
    this.hosts[i] = host;
    host.begin();
  }

  drainHost(host: HostProcess): void {
    if (host.isDraining) return;
    host.drain();
    const untilMs = this.#world.clock.nowMs + drainMs;
    const leaveWhenIdle = () => {
      if (host.state === "dead") return;
      if (host.state === "running" && (host.isIdle || this.#world.clock.nowMs >= untilMs)) {
        host.session.close("the worker leaves");
        host.kill();
        return;
      }
      this.later(drainPollMs, leaveWhenIdle);
    };
    leaveWhenIdle();
  }

  killHead(): void {
    if (this.head.state === "dead") return;
    this.#world.referee.headDeaths++;
    this.head.kill();
    this.disk.crash();
    this.later(this.#draws.between(50, 3_000), () => {
      this.head = new HeadProcess(`head${++this.#headStarts}`, this.#world, this.disk);
    });
  }

  /** The driver's process dies; a new one takes up what is on its disk, as jobs of its own. */
  killDriver(i: number): void {
    const driver = this.drivers[i];
    if (driver.state === "dead") return;
    this.#world.referee.driversLost++;
    driver.kill();
    this.driversToCome++;
    this.later(this.#draws.between(100, 8_000), () => this.#restartDriver(i, driver));
  }

  #restartDriver(i: number, dead: DriverProcess): void {
    this.driversToCome--;
    const start = ++this.#driverStarts[i];
    const { nowMs } = this.#world.clock;
    const steps = [...dead.stepsLeft];
    for (const { plan, stored } of dead.jobs.values()) {
      this.#world.referee.abandoned(plan.id);
      const again = plan.again(`${plan.id.split("~")[0]}~${start}`);
      // Of what it had stored, the last may not have reached its disk.
      const durable = stored.ranges().filter(() => this.#draws.chance(0.9));
      steps.push({ atMs: nowMs, act: (driver) => driver.submit(again, durable) });
    }
    const { storeMs } = this.#world.scenario.drivers[i];
    const name = `d${i}.${start}`;
    const driver = new DriverProcess(name, this.#driverMachine(i), this.#world, steps, storeMs);
    this.drivers[i] = driver;
    driver.begin();
  }

  /** Drivers have machines of their own, behind those of the hosts. */
  #driverMachine(i: number): number {
    return this.#world.scenario.hosts.length + 1 + i;
  }

  get isWorkDone(): boolean {
    return this.driversToCome === 0 && this.drivers.every(({ isDone }) => isDone);
  }

  /** The most time that it took for all suspects of open jobs, on one host and one after the other. */
  suspectsMs(): number {
    const speed = Math.min(...this.#world.scenario.hosts.map((host) => host.speed));
    let sumMs = 0;
    for (const job of this.head.scheduler.jobs.values()) {
      const suspects = job.losses[carefulAfterLosses - 1]?.size ?? 0;
      sumMs += (suspects * this.#world.referee.planOf(job.request.job).slowestMs) / speed;
    }
    this.#suspectsMs = Math.max(this.#suspectsMs, sumMs);
    return this.#suspectsMs;
  }

  /** What the head says that its jobs wait for, and their stories. */
  explain(): string {
    const { nowMs } = this.#world.clock;
    const jobs = explain(this.head.scheduler, nowMs).filter(({ kind }) => kind === "job");
    return jobs
      .slice(0, 3)
      .map(({ id, sentence, story }) => {
        const lines = story
          .slice(-20)
          .map((entry) => `    ${entry.nowMs.toFixed(0)} ${entry.text}`);
        return `  ${id}: ${sentence}\n${lines.join("\n")}`;
      })
      .join("\n");
  }

  /** The machines' own invariants, everywhere. */
  checkAll(): void {
    this.head.checkAll();
    for (const host of this.livingHosts()) host.checkAll();
  }

  /**
   * Whether head and hosts believe the same. It can be asked of a host where nothing is on its way between the two.
   * Gives how many could be asked.
   */
  checkAgreement(): number {
    let asked = 0;
    const { scheduler } = this.head;
    for (const host of this.livingHosts()) {
      const session = this.head.sessionOf(host.agent);
      const held = host.held();
      const isQuiet = session?.isFlushed === true && host.session.isFlushed && !host.isHandling;
      if (held === undefined || !isQuiet || !scheduler.agents.has(host.agent)) continue;
      asked++;
      for (const [id, { assignments }] of scheduler.jobs) {
        const leased = assignments.get(host.agent)?.leased;
        const [one, other] = [leased, held.get(id)].map((set) => JSON.stringify(set?.ranges()));
        if (one === other) continue;
        const what = `of ${id} the head has leased ${one} to ${host.name}, which holds ${other}`;
        this.#world.referee.violated(what);
      }
    }
    return asked;
  }

  /** What ended jobs have left anywhere. */
  residue(): string[] {
    const left = this.head.residue().map((what) => `${what} in the head`);
    for (const host of this.livingHosts()) {
      left.push(...host.residue().map((what) => `${what} on ${host.name}`));
      for (const object of host.objects) left.push(`object ${object} on ${host.name}`);
      for (const actor of host.actors.names()) left.push(`actor ${actor} on ${host.name}`);
    }
    return left;
  }
}

function stepOf(action: DriverAction): DriverStep {
  const { atMs } = action;
  switch (action.kind) {
    case "submit":
      return { atMs, act: (driver) => driver.submit(action.plan) };
    case "cancel":
      return { atMs, act: (driver) => driver.cancel(action.job) };
    case "put":
      return { atMs, act: (driver) => driver.put(action.object) };
    case "request":
      return { atMs, act: (driver) => driver.request(action.actor, action.restarts) };
  }
}
