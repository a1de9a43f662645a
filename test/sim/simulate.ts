/** Runs one seed: a phase in which things go wrong, and one in which all must come right. */
import { Clock } from "./clock.ts";
import { Cluster } from "./cluster.ts";
import { Faults } from "./faults.ts";
import { Network } from "./network.ts";
import { Random } from "./random.ts";
import { Referee } from "./referee.ts";
import { type Scenario, scenarioOf } from "./scenario.ts";
import { Trace } from "./trace.ts";
import type { CheckRates, World } from "./world.ts";

/** When all jobs have ended, nothing of them is left after this: sessions must be found dead, drivers given up. */
const quiescenceMs = 100_000;

/** How often head and hosts are compared, where nothing is on its way between them. */
const agreementEveryMs = 330;

/** How often it is asked whether the run is over: so many events apart, and as many as there are hosts. */
const lookEveryEvents = 64;

/** More events than this are taken for a run that never ends. */
const eventsLimit = 30_000_000;

export interface SimulationOptions {
  /** Gets a line for everything that happens. */
  readonly print?: (line: string) => void;
  readonly checks?: CheckRates;
  readonly scenario?: Scenario;
  /** Spoils what machines ask for, to see that the checks see it; undefined in the place of an effect drops it. */
  readonly tamper?: World["tamper"];
  /** Called every second of virtual time. */
  readonly watch?: () => void;
}

export interface SimulationResult {
  readonly seed: number;
  /** Equal for equal runs. */
  readonly hash: string;
  readonly virtualMs: number;
  /** When the last job was complete. */
  readonly completeMs: number;
  /** Appointments kept: chunks that end, messages that arrive, timers, faults. */
  readonly appointments: number;
  /** Steps of the machines. */
  readonly steps: number;
  /** Chunks that drivers have. */
  readonly chunks: number;
  /** Chunks that threads began. */
  readonly begun: number;
  readonly hosts: number;
  readonly faults: number;
  readonly complete: number;
  readonly failed: number;
  /** How often head and host were found to believe the same. */
  readonly agreements: number;
  /** Pairs of jobs whose shares were compared. */
  readonly pairsJudged: number;
  /** What was violated; undefined where nothing was. */
  readonly failure: string | undefined;
}

export function simulate(seed: number, options: SimulationOptions = {}): SimulationResult {
  const scenario = options.scenario ?? scenarioOf(seed);
  const clock = new Clock();
  const checks = options.checks ?? checksFor(scenario);
  const world: World = {
    scenario,
    clock,
    network: new Network(clock, new Random(seed, "network"), scenario.network),
    trace: new Trace(clock, options.print),
    referee: new Referee(),
    checks,
    sessions: { steps: 0, checksEvery: checks.local },
    steps: { head: 0, agents: 0, stores: 0, detectors: 0 },
    tamper: options.tamper,
    random: (purpose) => new Random(seed, purpose),
  };
  let failure: string | undefined;
  let agreements = 0;
  let faults: Faults | undefined;
  try {
    const cluster = new Cluster(world);
    faults = new Faults(world, cluster);
    if (options.watch !== undefined) repeat(clock, 1_000, options.watch);
    if (checks.whole > 0) {
      repeat(clock, agreementEveryMs, () => {
        agreements += cluster.checkAgreement();
      });
    }
    run(world, cluster);
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { referee, steps } = world;
  return {
    seed,
    hash: world.trace.hash,
    virtualMs: clock.nowMs,
    completeMs: referee.lastCompleteMs,
    appointments: clock.woken,
    steps: steps.head + steps.agents + steps.stores + steps.detectors + world.sessions.steps,
    chunks: referee.chunksStored,
    begun: referee.chunksBegun,
    hosts: scenario.hosts.length,
    faults: [...(faults?.counts.values() ?? [])].reduce((sum, count) => sum + count, 0),
    ...referee.outcomes,
    agreements,
    pairsJudged: referee.fairness.pairsJudged,
    failure,
  };
}

function repeat(clock: Clock, everyMs: number, act: () => void): void {
  const sleeper = {
    wake: () => {
      clock.after(everyMs, sleeper, 0);
      act();
    },
  };
  clock.after(everyMs, sleeper, 0);
}

function run(world: World, cluster: Cluster): void {
  const { clock, scenario, referee } = world;
  const everyEvents = lookEveryEvents + scenario.hosts.length;
  const isDone = () => cluster.isWorkDone && clock.nowMs >= scenario.faultsEndMs;
  // Suspects are run alone, one after the other: whoever has many takes its time.
  const untilMs = () => scenario.deadlineMs + cluster.suspectsMs();
  advance(clock, isDone, scenario.deadlineMs, untilMs, () => {
    const open = referee.open();
    return `not over at ${clock.nowMs} ms: ${open.join("; ")}\n${cluster.explain()}`;
  });
  const isClean = () => cluster.residue().length === 0;
  const quietMs = clock.nowMs + quiescenceMs;
  advance(
    clock,
    isClean,
    quietMs,
    () => quietMs,
    () => {
      return `left behind by jobs that ended: ${cluster.residue().slice(0, 10).join("; ")}`;
    },
  );
  cluster.checkAll();
  const open = referee.open();
  if (open.length > 0) referee.violated(`nobody knows how these ended: ${open.join("; ")}`);
  const sentences = referee.fairness.unfair();
  if (sentences.length > 0) referee.violated(sentences.join("; "));
  /** Goes on until it is over, at the latest at `untilMs()`, which is asked after `fromMs`. */
  function advance(
    clock: Clock,
    isOver: () => boolean,
    fromMs: number,
    untilMs: () => number,
    why: () => string,
  ): void {
    let count = 0;
    while (!(count++ % everyEvents === 0 && isOver())) {
      if (!clock.next()) referee.violated(`nothing will ever happen again; ${why()}`);
      const isLate = clock.nowMs > fromMs && clock.nowMs > untilMs();
      if (isLate || clock.woken > eventsLimit) {
        referee.violated(why());
      }
    }
  }
}

/** Small scenarios are checked at every step, large ones now and then: a check looks at all there is. */
function checksFor(scenario: Scenario): CheckRates {
  const hosts = scenario.hosts.length;
  if (hosts <= 8) return { local: 1, whole: 1 };
  if (hosts <= 100) return { local: 5, whole: 50 };
  return { local: 100, whole: 1_000 };
}
