/** A head, four workers and a driver as real processes, and what can be done to each of them. */
import { formatJoinString, type JoinString, parseJoinString } from "@fascicle/transport";
import { type Ended, Home, type Running, sleep } from "../support/cli.ts";
import { BadNetwork } from "./badNetwork.ts";
import { type Fault, type Moment, workerCount } from "./plan.ts";

/** Who finds no head at its first try says so and ends; whoever wants it tries again. */
const noHeadCode = 3;
const againMs = 300;

/** What the driver prints at the moments from which faults are timed. */
const signsOf = { fitting: /fitting \S+ [\d,]+ of/, writing: /writing maps/ };

/** A process of a group, with its name in logs. */
interface Member {
  readonly name: string;
  readonly running: Running;
}

export interface GroupOptions {
  /** Words of `runtime start --head`, `runtime join` and `runtime fit`. */
  readonly headWords: readonly string[];
  readonly workerWords: readonly string[];
  readonly fitWords: readonly string[];
}

export class Group {
  readonly home = new Home();
  readonly timeline: string[] = [];
  /** Processes killed, by what they were. */
  readonly deaths = { worker: 0, head: 0, driver: 0 };
  readonly #options: GroupOptions;
  readonly #members: Member[] = [];
  readonly #workers: Running[] = [];
  readonly #proxies: BadNetwork[] = [];
  readonly #stopped = new Set<Running>();
  readonly #takenDown = new Set<Running>();
  readonly #beganMs = performance.now();
  #head: Running | undefined;
  #driver: Running | undefined;
  #join: JoinString | undefined;
  #driverAgainAfterMs = 0;
  #isOver = false;
  #isClosing = false;

  constructor(options: (home: Home) => GroupOptions) {
    this.#options = options(this.home);
  }

  /** Every process of the group has its temporary files here. */
  get temporaryFolder(): string {
    return this.home.scratch;
  }

  /** The head's own address, which no fault touches. */
  get join(): string {
    return formatJoinString(this.#join!);
  }

  get head(): Running {
    return this.#head!;
  }

  get workers(): readonly Running[] {
    return this.#workers;
  }

  note(text: string): void {
    const seconds = ((performance.now() - this.#beganMs) / 1000).toFixed(2);
    this.timeline.push(`${seconds.padStart(7)} s  ${text}`);
  }

  async startHead(): Promise<void> {
    const isFirst = this.#join === undefined;
    const words = ["start", "--head", "--cpus", "0", ...(isFirst ? ["--port", "0"] : [])];
    const head = this.#start("head", [...words, ...this.#options.headWords]);
    this.#head = head;
    const [, join] = await head.saw(/join: (\S+)/);
    this.note("the head is up");
    this.#join = parseJoinString(join);
    // The last one is the driver's.
    while (this.#proxies.length <= workerCount) {
      this.#proxies.push(await BadNetwork.start(this.#join.port));
    }
  }

  async startWorkers(): Promise<void> {
    for (let worker = 0; worker < workerCount; worker++) this.#startWorker(worker);
    await Promise.all(this.#workers.map(joinedOrDead));
  }

  /** Runs the fit to its end, again with `--resume` when it is killed. */
  async fit(onMoment: (moment: Moment) => void): Promise<Ended> {
    for (let attempt = 0; ; attempt++) {
      const words = ["fit", ...this.#options.fitWords, "--join", this.#joinThrough(workerCount)];
      const driver = this.#start("driver", attempt === 0 ? words : [...words, "--resume"]);
      this.#driver = driver;
      onMoment("start");
      for (const [moment, pattern] of Object.entries(signsOf)) {
        // A driver that ends before is judged by its exit code.
        driver.saw(pattern, 120_000).then(
          () => onMoment(moment as Moment),
          () => {},
        );
      }
      const ended = await driver.ended;
      this.note(`the driver ends (${driver.child.signalCode ?? `exit code ${ended.code}`})`);
      const isDead = driver.child.signalCode === "SIGKILL";
      if (!isDead && ended.code !== noHeadCode) return ended;
      await sleep(isDead ? this.#driverAgainAfterMs : againMs);
    }
  }

  /** Does what a plan says. Resolves when it is over; where the fit has ended meanwhile, at once. */
  async suffer(fault: Fault): Promise<void> {
    const { act, target } = fault;
    switch (act.type) {
      case "kill":
        if (target === "worker") await this.#killWorker(fault.worker, "SIGKILL", act.againAfterMs);
        else if (target === "head") await this.#killHead(act.againAfterMs);
        else this.#killDriver(act.againAfterMs);
        return;
      case "leave":
        await this.#killWorker(fault.worker, "SIGTERM", act.againAfterMs);
        return;
      case "stop":
        await this.#stop(this.#processOf(fault), act.durationMs);
        return;
      case "break":
        for (const proxy of this.#proxiesOf(fault)) proxy.break();
        return;
      case "refuse":
      case "stall": {
        const proxies = this.#proxiesOf(fault);
        for (const proxy of proxies) {
          if (act.type === "refuse") proxy.refuse();
          else proxy.stall(act.direction);
        }
        await this.#whileFitting(act.durationMs);
        for (const proxy of proxies) proxy.heal();
      }
    }
  }

  /** The fit has ended: faults end too, whatever was stopped goes on, whoever is dead comes back. */
  heal(): void {
    this.#isOver = true;
    for (const proxy of this.#proxies) proxy.heal();
    for (const running of [...this.#stopped]) this.#continue(running);
  }

  /** Ends everything, by force, and gives what was left (see `Home.close`). */
  async close(): Promise<string[]> {
    this.#isOver = true;
    this.#isClosing = true;
    for (const { running } of this.#members) running.signal("SIGCONT");
    for (const { running } of this.#members) running.signal("SIGKILL");
    for (const proxy of this.#proxies) await proxy.close();
    return await this.home.close();
  }

  /** What every process printed. */
  get logs(): string {
    return this.#members
      .map(({ name, running }) => {
        const end = running.child.signalCode ?? running.child.exitCode ?? "runs";
        const lines = `${running.stdout}${running.stderr}`.trimEnd().split("\n").slice(-60);
        return `--- ${name}, pid ${running.child.pid} (${end})\n${lines.join("\n")}`;
      })
      .join("\n");
  }

  #start(name: string, words: readonly string[]): Running {
    const running = this.home.start(words, { TMPDIR: this.temporaryFolder });
    this.#members.push({ name, running });
    this.note(`${name} starts, pid ${running.child.pid}`);
    return running;
  }

  #startWorker(worker: number): void {
    const { workerWords } = this.#options;
    const words = ["join", this.#joinThrough(worker), "--cpus", "1", ...workerWords];
    const running = this.#start(`worker ${worker}`, words);
    this.#workers[worker] = running;
    void running.ended.then(async ({ code }) => {
      if (code !== noHeadCode) return;
      await sleep(againMs);
      if (!this.#isClosing && this.#workers[worker] === running) this.#startWorker(worker);
    });
  }

  #joinThrough(proxy: number): string {
    return formatJoinString({ ...this.#join!, port: this.#proxies[proxy].port });
  }

  #processOf({ target, worker }: Fault): Running | undefined {
    if (target === "worker") return this.#workers[worker];
    return target === "head" ? this.#head : this.#driver;
  }

  #proxiesOf({ target, worker }: Fault): BadNetwork[] {
    if (target === "network") return [...this.#proxies];
    return [this.#proxies[target === "driver" ? workerCount : worker]];
  }

  async #killWorker(worker: number, signal: NodeJS.Signals, againAfterMs: number): Promise<void> {
    const running = this.#workers[worker];
    if (!this.#takeDown(running)) return;
    if (signal === "SIGKILL") this.deaths.worker++;
    running.signal(signal);
    this.#continue(running);
    if (signal === "SIGKILL") await running.ended;
    await sleep(againAfterMs);
    // A worker that leaves may take its time; its place is taken meanwhile.
    this.#startWorker(worker);
    await joinedOrDead(this.#workers[worker]);
  }

  async #killHead(againAfterMs: number): Promise<void> {
    const head = this.#head!;
    if (!this.#takeDown(head)) return;
    this.deaths.head++;
    head.signal("SIGKILL");
    await head.ended;
    await sleep(againAfterMs);
    await this.startHead();
  }

  /** False where it is down already, and whoever took it down sees to its return. */
  #takeDown(running: Running): boolean {
    const isUp = !this.#takenDown.has(running) && running.child.exitCode === null;
    this.#takenDown.add(running);
    return isUp;
  }

  #killDriver(againAfterMs: number): void {
    const driver = this.#driver;
    if (driver === undefined || driver.child.exitCode !== null) return;
    if (driver.child.signalCode !== null) return;
    this.deaths.driver++;
    this.#driverAgainAfterMs = againAfterMs;
    driver.signal("SIGKILL");
  }

  async #stop(running: Running | undefined, durationMs: number): Promise<void> {
    if (running === undefined) return;
    running.signal("SIGSTOP");
    this.#stopped.add(running);
    await this.#whileFitting(durationMs);
    this.#continue(running);
  }

  #continue(running: Running): void {
    if (this.#stopped.delete(running)) running.signal("SIGCONT");
  }

  async #whileFitting(durationMs: number): Promise<void> {
    const untilMs = performance.now() + durationMs;
    while (!this.#isOver && performance.now() < untilMs) await sleep(20);
  }
}

/** A worker may be killed before it has joined; whether all are there is seen at the end. */
async function joinedOrDead(worker: Running): Promise<void> {
  const joined = worker.saw(/joined/, 60_000).catch(() => {});
  await Promise.race([joined, worker.ended]);
}
