/** One case: ours and each peer on the same voxels, one thread each, in turn. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Dwi, DwiModel } from "@fascicle/models";
import { Workspace } from "@fascicle/object-store";
import { fitChunked } from "../../fit/fitChunked.ts";
import { type Agreement, agreeOnCoefficients, agreeOnTensor, agreeOnWater } from "./agreement.ts";
import { readNumbers, writeCase } from "./caseFiles.ts";
import { FitProcess } from "./fitProcess.ts";
import { bindModel, type ModelChoice } from "./kernelCases.ts";
import { MrtrixFit } from "./mrtrixFit.ts";
import type { Dipy } from "./peers.ts";

const oursScript = fileURLToPath(new URL("./oursMain.js", import.meta.url));
const dipyScript = fileURLToPath(new URL("../../../peers/dipyKernels.py", import.meta.url));

/** A side fits its voxels as often as it takes for about this long, each time. */
const sideSeconds = 0.5;
const mostRepeats = 1000;

/** Whoever fits a case: seconds for so many fits of all its voxels. */
interface Side {
  seconds(repeats: number): Promise<number>;
  end(): Promise<void>;
}

/** Voxels per second, round by round. */
export interface Rates {
  readonly rates: readonly number[];
  readonly median: number;
}

export interface PeerResult extends Rates {
  readonly peer: string;
  /** Ours over theirs: the median of the rounds' own ratios. */
  readonly ratio: number;
  /** Undefined where its settings are others than ours, so that the answers are not the same. */
  readonly answers: Agreement | undefined;
}

export interface CaseResult {
  readonly voxels: number;
  readonly volumes: number;
  readonly fascicle: Rates;
  readonly peers: readonly PeerResult[];
}

export interface CaseInput {
  readonly scan: Dwi;
  readonly choice: ModelChoice;
  readonly dipy: Dipy | undefined;
  readonly hasMrtrix: boolean;
  readonly rounds: number;
  readonly signal: AbortSignal;
  /** Told of the share of the rounds that are done. */
  readonly onProgress: (share: number) => void;
}

/** Throws `InputError` where the model does not fit the scan. */
export async function measureCase(input: CaseInput): Promise<CaseResult> {
  const { scan, signal } = input;
  const model = bindModel(scan, input.choice);
  const choice = withResponse(model, input.choice);
  const workspace = await Workspace.create(tmpdir(), "bench of kernels");
  const sides = new Map<string, Side>();
  try {
    const directory = workspace.path;
    writeCase(directory, model, choice);
    sides.set(
      "Fascicle",
      new FitProcess("Fascicle", process.execPath, [oursScript, directory], signal),
    );
    if (input.dipy !== undefined) {
      sides.set("DIPY", new FitProcess("DIPY", input.dipy.python, [dipyScript, directory], signal));
    }
    if (input.hasMrtrix && choice.model === "csd") {
      if (isMatchable(model)) {
        sides.set(mrtrixMatched, new MrtrixFit(directory, model, true, signal));
      }
      sides.set(mrtrixDefaults, new MrtrixFit(directory, model, false, signal));
    }
    const rates = await measureRates(sides, scan.signals.voxelCount, input);
    const fascicle = rates.get("Fascicle")!;
    const peers: PeerResult[] = [];
    for (const [peer, side] of sides) {
      if (peer === "Fascicle") continue;
      const theirs = rates.get(peer)!;
      const answers = await answersOf(peer, side, directory, model, choice);
      peers.push({ peer, ...theirs, ratio: ratioOf(fascicle, theirs), answers });
    }
    const { voxelCount, width } = scan.signals;
    return { voxels: voxelCount, volumes: width, fascicle, peers };
  } finally {
    await Promise.all([...sides.values()].map((side) => side.end()));
    await workspace.remove();
  }
}

const mrtrixMatched = "MRtrix3, settings as ours";
const mrtrixDefaults = "MRtrix3, its defaults";

/** s/mm² */
const leastMatchedB = 2000;

/**
 * Whether MRtrix comes to rest with our settings: it knows no tau, and below that b-value a fit with our weight and a
 * threshold of 0 runs in circles in many voxels, ours as theirs.
 */
function isMatchable({ options }: DwiModel): boolean {
  return (options.shells as readonly number[]).every((b) => b >= leastMatchedB);
}

/** With the response that was estimated, so that all sides have the same. */
function withResponse({ options }: DwiModel, choice: ModelChoice): ModelChoice {
  if (choice.model !== "csd" || choice.response !== undefined) return choice;
  const { evals, s0 } = options.response as { evals: readonly number[]; s0: number };
  const [e1, e2, e3] = evals;
  return { ...choice, response: [e1, e2, e3, s0] };
}

/** All sides in turn in each round, forwards and backwards, each for about as long. */
async function measureRates(
  sides: ReadonlyMap<string, Side>,
  voxels: number,
  { rounds, onProgress }: CaseInput,
): Promise<Map<string, Rates>> {
  const runs: { readonly name: string; readonly side: Side; readonly repeats: number }[] = [];
  for (const [name, side] of sides) {
    let repeats = repeatsFor(await side.seconds(1));
    // A process that stays is faster when its code is warm, and can then do more; one that starts each time is not.
    for (let warm = 0; warm < 2 && side instanceof FitProcess; warm++) {
      repeats = repeatsFor((await side.seconds(repeats)) / repeats);
    }
    runs.push({ name, side, repeats });
  }
  const rates = new Map(runs.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, side, repeats } of round % 2 === 0 ? runs : runs.toReversed()) {
      rates.get(name)!.push((voxels * repeats) / (await side.seconds(repeats)));
    }
    onProgress((round + 1) / rounds);
  }
  return new Map([...rates].map(([name, all]) => [name, { rates: all, median: median(all) }]));
}

/** So many fits of so many seconds each. */
const repeatsFor = (seconds: number) =>
  Math.ceil(Math.min(mostRepeats, sideSeconds / Math.max(1e-6, seconds)));

const ratioOf = (ours: Rates, theirs: Rates) =>
  median(ours.rates.map((rate, round) => rate / theirs.rates[round]));

async function answersOf(
  peer: string,
  side: Side,
  directory: string,
  model: DwiModel,
  choice: ModelChoice,
): Promise<Agreement | undefined> {
  if (peer === mrtrixDefaults) return undefined;
  if (side instanceof MrtrixFit) {
    const untilZero = bindModel(model.dwi, { ...choice, tau: 0 });
    const { sh } = await mapsOf(untilZero);
    return agreeOnCoefficients(sh, await side.coefficients(), sh.length / voxelsIn(model));
  }
  const theirs = readNumbers(join(directory, "dipy.f64"));
  const maps = await mapsOf(model);
  switch (choice.model) {
    case "csd":
      return agreeOnCoefficients(maps.sh, theirs, maps.sh.length / voxelsIn(model));
    case "freewater":
      return agreeOnWater(maps.params, theirs, model.dwi);
    case "dti":
      return agreeOnTensor({ fa: maps.fa, md: maps.md }, theirs);
  }
}

const voxelsIn = ({ signals }: DwiModel) => signals.voxelCount;

/** Our fit, by the name of the output. */
async function mapsOf(model: DwiModel): Promise<Record<string, Float64Array>> {
  const { maps } = await fitChunked(model, 1, { engine: "serial" });
  return Object.fromEntries(
    Object.entries(maps).map(([name, { data }]) => [name, data as Float64Array]),
  );
}

/** The value in the middle; of an even number of values, the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
