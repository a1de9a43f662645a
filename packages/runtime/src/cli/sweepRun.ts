/** A sweep from its data to its files. */
import type { DwiModel } from "@fascicle/models";
import { csd, type Dwi, freeWater, openDwi } from "@fascicle/models";
import { usableMemoryBytes } from "@fascicle/worker";
import { phantomScan } from "../bench/phantomScan.ts";
import { DipyRay, type PeerVersions } from "../bench/sweep/dipyRay.ts";
import { readSweep, SweepFiles } from "../bench/sweep/files.ts";
import { thisMachine } from "../bench/sweep/machine.ts";
import { type Plan, planSweep, type SweepModel, type SweepPoint } from "../bench/sweep/points.ts";
import { type SweepRecord, type SweptModel, whyNotContinued } from "../bench/sweep/record.ts";
import { runSweep } from "../bench/sweep/sweep.ts";
import type { Cluster } from "../client/connect.ts";
import { UsageError } from "../errors.ts";
import { Interrupted } from "./exit.ts";
import { formatBytes, formatSeconds, grouped, groupedCount } from "./parse.ts";
import type { ProgressBar } from "./progressBar.ts";

export interface SweepRequest {
  readonly models: readonly SweepModel[];
  readonly minChunks: number;
  readonly maxChunks: number;
  readonly runs: number;
  readonly workers: readonly number[];
  readonly seed: number;
  readonly out: string;
  readonly isContinued: boolean;
  /** Of the phantom. */
  readonly voxels: number;
  readonly scan:
    | { readonly dwi: string; readonly bval: string; readonly bvec: string; readonly mask?: string }
    | undefined;
  readonly cluster: Cluster | undefined;
  readonly hosts: readonly { readonly name: string; readonly slots: number }[];
  readonly peer:
    | { readonly versions: PeerVersions & { readonly maxChunks: number }; readonly python: string }
    | undefined;
  readonly bar: ProgressBar;
  readonly signal: AbortSignal;
}

/** Single-fibre response of the phantom: eigenvalues in mm²/s and b0 signal. */
const phantomResponse = [1.7e-3, 0.3e-3, 0.3e-3, 1000] as const;
/** Signals of all models, and the results of one fit, take no more than this of the memory. */
const memoryShare = 0.6;
const volumesOfPhantom = { csd: 65, freewater: 288 } as const;

/** Measures, writes the files, and gives what is in them. */
export async function measureSweep(request: SweepRequest): Promise<SweepRecord> {
  const { out, bar, signal, peer, seed } = request;
  const before = request.isContinued ? await readSweep(out) : undefined;
  checkMemory(request);
  const models = await openModels(request);
  const plan = planOf(request, models);
  const record = recordOf(request, plan, models, before);
  bar.clear();
  process.stderr.write(`${announce(request, plan)}\n`);
  let dipyRay: DipyRay | undefined;
  let files: SweepFiles | undefined;
  try {
    if (peer !== undefined) {
      bar.show("starting DIPY on Ray", 0);
      dipyRay = await DipyRay.start(peer.python, [...models.values()], request.workers, signal);
    }
    files = await SweepFiles.open(out, record.runs);
    const done = record.runs.reduce((most, { round }) => Math.max(most, round), 0);
    await runSweep({
      ...{ plan, models, seed, cluster: request.cluster, peer: dipyRay, signal },
      firstRound: done + 1,
      lastRound: done + request.runs,
      onNext: ({ point, round, share, secondsLeft }) =>
        bar.show(progressText(point, round - done, request.runs, secondsLeft), share),
      onRun: async (run) => {
        record.runs.push(run);
        await files!.add(stamped(record));
      },
      onRoundEnd: () => files!.write(stamped(record)),
    });
    return stamped(record);
  } catch (error) {
    bar.clear();
    throw await afterFailure(error, record, files, out);
  } finally {
    await dipyRay?.close();
  }
}

/** Runs that ended are kept; where there is none, nothing is. */
async function afterFailure(
  error: unknown,
  record: SweepRecord,
  files: SweepFiles | undefined,
  out: string,
): Promise<unknown> {
  if (record.runs.length === 0) {
    await files?.removeAll();
    return error;
  }
  await files?.write(stamped(record));
  if (!(error instanceof Interrupted)) return error;
  return new Interrupted(
    `interrupted; ${groupedCount(record.runs.length, "run")} and the page are in ${out}, and --continue adds to them.`,
  );
}

const stamped = (record: SweepRecord): SweepRecord => ({
  ...record,
  updatedAt: new Date().toISOString(),
});

function recordOf(
  request: SweepRequest,
  plan: Plan,
  models: ReadonlyMap<SweepModel, DwiModel>,
  before: SweepRecord | undefined,
): SweepRecord {
  const now = new Date().toISOString();
  const command = ["runtime", ...process.argv.slice(2)].join(" ");
  const { minChunks, maxChunks, seed, peer } = request;
  const record: SweepRecord = {
    format: 1,
    begunAt: now,
    updatedAt: now,
    commands: [command],
    seed,
    machine: thisMachine(),
    engine: request.cluster === undefined ? "local" : "cluster",
    hosts: [...request.hosts],
    workers: [...request.workers],
    ...{ minChunks, maxChunks },
    models: [...models].map(([name, model]) => sweptModel(name, model, request)),
    peer: peer?.versions ?? null,
    skipped: [...plan.skipped],
    runs: [],
  };
  if (before === undefined) return record;
  const objection = whyNotContinued(before, record);
  if (objection !== undefined) {
    throw new UsageError(
      `The sweep in ${request.out} cannot be continued: it differs in ${objection}. Give its own options, or another --out.`,
    );
  }
  return { ...before, commands: [...before.commands, command], runs: [...before.runs] };
}

function sweptModel(name: SweepModel, model: DwiModel, { scan }: SweepRequest): SweptModel {
  const { voxelCount, width } = model.signals;
  const data = scan === undefined ? `a phantom (${phantomScheme[name]} scheme, SNR 30)` : scan.dwi;
  return {
    name,
    voxels: voxelCount,
    volumes: width,
    data,
    inputs: model.dwi.inputs.map(({ sha256 }) => sha256),
    options: model.options,
  };
}

function planOf(
  request: SweepRequest,
  models: ReadonlyMap<SweepModel, DwiModel>,
): ReturnType<typeof planSweep> {
  const { cluster, workers, minChunks, maxChunks, peer } = request;
  const plan = planSweep({
    models: [...models].map(([name, { signals }]) => ({ name, voxels: signals.voxelCount })),
    engine: cluster === undefined ? "local" : "cluster",
    ...{ workers, minChunks, maxChunks, peerMaxChunks: peer?.versions.maxChunks },
  });
  if (plan.points.every(({ engine }) => engine.endsWith("serial"))) {
    throw new UsageError(
      `2^${minChunks} chunks are more than the voxels there are: lower --min-chunks, or fit more voxels.`,
    );
  }
  return plan;
}

function announce({ seed, runs }: SweepRequest, { points, skipped }: Plan): string {
  const lines = [
    `runtime: ${groupedCount(points.length, "point")}, ${groupedCount(runs, "round")}, order from seed ${seed}`,
  ];
  for (const { model, chunks } of skipped) {
    lines.push(
      `runtime: ${model} with ${grouped(chunks)} chunks is left out: more than its voxels`,
    );
  }
  return lines.join("\n");
}

function progressText(point: SweepPoint, round: number, rounds: number, secondsLeft: number) {
  const { model, engine, workers, chunks } = point;
  const what =
    chunks === 1 && engine.endsWith("serial")
      ? engine
      : `${engine}, ${groupedCount(workers, "worker")}, ${groupedCount(chunks, "chunk")}`;
  if (round < 1) return `warming up: ${model}, ${what}`;
  const left = Number.isFinite(secondsLeft) ? `; ${formatSeconds(secondsLeft)} left` : "";
  return `round ${round} of ${rounds}: ${model}, ${what}${left}`;
}

function checkMemory({ models, voxels, scan }: SweepRequest): void {
  if (scan !== undefined) return;
  const widths = models.map((model) => volumesOfPhantom[model]);
  const bytes = voxels * (4 * widths.reduce((sum, width) => sum + width, 0) + 8 * 50);
  const limit = memoryShare * usableMemoryBytes();
  if (bytes <= limit) return;
  throw new UsageError(
    `${grouped(voxels)} voxels need ${formatBytes(bytes)} of memory, and there are ${formatBytes(limit)} for them: give fewer --voxels, or one model at a time.`,
  );
}

const phantomScheme = { csd: "64dir", freewater: "hcp" } as const;

/** The models bound to their data: a scan of the user's for all of them, or a phantom for each. */
async function openModels(request: SweepRequest): Promise<Map<SweepModel, DwiModel>> {
  const { models, scan, voxels, bar, signal } = request;
  const opened = new Map<SweepModel, DwiModel>();
  if (scan !== undefined) {
    const onProgress = (share: number) => bar.show(`reading ${scan.dwi}`, share);
    const dwi = await openDwi({ ...scan, signal, onProgress });
    for (const name of models) opened.set(name, bind(name, dwi, undefined));
    return opened;
  }
  for (const name of models) {
    const onProgress = (share: number) => bar.show(`making a phantom for ${name}`, share);
    const scheme = phantomScheme[name];
    const dwi = await phantomScan({ scheme, voxels, signal, onProgress });
    opened.set(name, bind(name, dwi, phantomResponse));
  }
  return opened;
}

function bind(
  name: SweepModel,
  dwi: Dwi,
  response: readonly [number, number, number, number] | undefined,
): DwiModel {
  const model = name === "csd" ? csd(dwi, { response: response ?? "auto" }) : freeWater(dwi);
  for (const warning of [...dwi.warnings, ...model.warnings]) {
    process.stderr.write(`runtime: warning: ${warning}\n`);
  }
  return model;
}
