/** One round: a fit under the faults of a plan, and everything that must be true afterwards. */
import { readdirSync } from "node:fs";
import { driverGraceMs } from "@fascicle/core";
import { connect } from "@fascicle/runtime";
import { type Ended, filesBelow, processesWith, sleep } from "../support/cli.ts";
import { Group } from "./group.ts";
import { describe, type Fault, type Moment, type Plan, workerCount } from "./plan.ts";
import { hashesOf, type Reference, type Report, reportOf } from "./reference.ts";

/** A fit that has not ended by then hangs; an undisturbed one takes some seconds. */
const fitLimitMs = 120_000;
/** When all faults have ended, everything must be in order again by then; the fit of a driver that died is kept. */
const recoveryLimitMs = driverGraceMs + 20_000;
/** A worker that is asked to go has 10 s to finish what it has begun. */
const endLimitMs = 15_000;

export interface RoundResult {
  readonly seconds: number;
  readonly deaths: Group["deaths"];
  readonly report: Report;
}

export async function runRound(plan: Plan, reference: Reference): Promise<RoundResult> {
  const beganMs = performance.now();
  const group = new Group((home) => ({
    headWords: plan.hasOwnStateDirectory ? ["--state-dir", home.file("head")] : [],
    workerWords: plan.workerMemory,
    fitWords: [
      ...reference.words,
      ...plan.driverMemory,
      ...["--out", home.file("out"), "--chunks", plan.chunks, "--wait", "60", ...plan.workers],
    ],
  }));
  try {
    await fitUnderFaults(group, plan);
    const out = group.home.file("out");
    compareMaps(out, reference);
    const report = reportOf(out);
    checkReport(report, plan, reference);
    await checkRecovered(group);
    await checkNothingLeft(group);
    return { seconds: (performance.now() - beganMs) / 1000, deaths: group.deaths, report };
  } catch (error) {
    group.note("the round has failed");
    throw new Error(story(plan, group, error as Error));
  } finally {
    await group.close();
  }
}

async function fitUnderFaults(group: Group, plan: Plan): Promise<void> {
  await group.startHead();
  const joined = group.startWorkers();
  if (!plan.isDriverEarly) await joined;
  const moments = new Moments();
  const ended = withLimit(
    group.fit((moment) => moments.reached(moment)),
    fitLimitMs,
    "the fit",
  );
  const strike = async (fault: Fault) => {
    await moments.wait(fault.from);
    await sleep(fault.afterMs);
    if (moments.areOver) return;
    group.note(describe(fault));
    await group.suffer(fault);
    group.note(`over: ${describe(fault)}`);
  };
  const faults = plan.faults.map(strike);
  try {
    mustBeDone(await ended);
  } finally {
    moments.end();
    group.heal();
  }
  await withLimit(Promise.all([joined, ...faults]), recoveryLimitMs, "what the faults began");
}

/** Lets faults wait for the moments of a fit. When it is over none is waited for any more. */
class Moments {
  areOver = false;
  readonly #reached = new Set<Moment>();
  readonly #waiting: { readonly moment: Moment; go(): void }[] = [];

  reached(moment: Moment): void {
    this.#reached.add(moment);
    for (const waiting of this.#waiting) if (waiting.moment === moment) waiting.go();
  }

  wait(moment: Moment): Promise<void> {
    return new Promise((resolve) => {
      if (this.areOver || this.#reached.has(moment)) resolve();
      else this.#waiting.push({ moment, go: resolve });
    });
  }

  end(): void {
    this.areOver = true;
    for (const { go } of this.#waiting) go();
  }
}

function mustBeDone({ code, stderr }: Ended): void {
  if (code !== 0) throw new Error(`the fit ended with ${code}: ${stderr.slice(-500)}`);
}

function compareMaps(out: string, { hashes }: Reference): void {
  const found = hashesOf(out);
  const names = new Set([...Object.keys(hashes), ...Object.keys(found)]);
  const wrong = [...names].filter((name) => hashes[name] !== found[name]);
  if (wrong.length === 0) return;
  const says = (name: string) =>
    `${name} ${hashes[name] === undefined ? "should not be there" : (found[name] ?? "is missing")}`;
  throw new Error(`not as the serial engine's: ${wrong.map(says).join(", ")}`);
}

function checkReport(report: Report, plan: Plan, { report: serial }: Reference): void {
  const { attempts, chunks, chunksResumed = 0 } = report;
  const isRight =
    report.voxels === serial.voxels &&
    (plan.chunks === "auto" || chunks === Number(plan.chunks)) &&
    JSON.stringify(report.voxelsByStatus) === JSON.stringify(serial.voxelsByStatus) &&
    report.bytesLeft === 0 &&
    report.workers <= workerCount * 2 &&
    attempts.run >= chunks - chunksResumed &&
    attempts.lost >= 0 &&
    attempts.lost <= attempts.run &&
    // No thread dies in these rounds, only whole processes.
    attempts.retried === 0;
  if (!isRight) throw new Error(`report.json is not plausible: ${JSON.stringify(report)}`);
}

/** Every worker is back with the head, and nothing of the fit is left in either. */
async function checkRecovered(group: Group): Promise<void> {
  const cluster = await connect(group.join);
  try {
    const untilMs = performance.now() + recoveryLimitMs;
    for (;;) {
      const { hosts, jobs, objects } = await cluster.status();
      const isReady = hosts.length === workerCount && hosts.every(({ state }) => state === "ready");
      if (isReady && jobs.length === 0 && objects.bytes === 0) return;
      if (performance.now() > untilMs) {
        const states = hosts.map(({ pid, state }) => `${pid} ${state}`).join(", ");
        throw new Error(
          `not in order again: ${hosts.length} workers (${states}), ${jobs.length} fits, ${objects.bytes} bytes of objects`,
        );
      }
      await sleep(50);
    }
  } finally {
    await cluster.close();
  }
}

/** The head stops, and all go with it: no process, no file. */
async function checkNothingLeft(group: Group): Promise<void> {
  const { home, head, workers } = group;
  head.signal("SIGTERM");
  const ends = [head, ...workers].map(({ ended }) => ended);
  const codes = (await withLimit(Promise.all(ends), endLimitMs, "head and workers")).map(
    ({ code }) => code,
  );
  if (codes.some((code) => code !== 0)) throw new Error(`head and workers ended with ${codes}`);
  // What killed processes left in the user's register goes with the next command that looks there.
  const { stdout } = await home.run(["stop"]);
  if (!stdout.includes("nothing of yours runs")) throw new Error(`something ran: ${stdout}`);
  const left = [
    ...processesWith(home.path),
    ...filesBelow(home.file("state")),
    ...filesBelow(group.temporaryFolder),
    // A state directory of the user's own keeps the token and the port.
    ...filesBelow(home.file("head")).filter((path) => !/\/(head\.json|journal)$/.test(path)),
    ...readdirSync(home.path).filter((name) => !["head", "out", "tmp", "state"].includes(name)),
  ];
  if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
}

async function withLimit<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} did not end in ${limitMs / 1000} s`)),
      limitMs,
    );
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function story({ seed, ...plan }: Plan, group: Group, error: Error): string {
  return [
    `chaos, seed ${seed}: ${error.message}`,
    `again: CHAOS_SEED=${seed} npm test -- test/chaos`,
    `plan: ${JSON.stringify(plan)}`,
    ...group.timeline,
    group.logs,
  ].join("\n");
}
