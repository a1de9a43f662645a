/** `runtime bench kernels`: every case in turn, and what came of it as a table or as one object. */
import { cpus } from "node:os";
import { type Dwi, InputError, kernelHash } from "@fascicle/models";
import { physicalCores } from "@fascicle/worker";
import { phantomScan, voxelsOf } from "./benchScan.ts";
import { type KernelCase, nameOfCase } from "./kernelCases.ts";
import { type CaseResult, measureCase } from "./measureCase.ts";
import type { Dipy } from "./peers.ts";

export interface KernelBenchInput {
  readonly cases: readonly KernelCase[];
  /** The user's, where the cases are not of the phantom. */
  readonly dwi: Dwi | undefined;
  /** In each case; default its own. */
  readonly voxels: number | undefined;
  readonly rounds: number;
  readonly dipy: Dipy | undefined;
  /** Its version. */
  readonly mrtrix: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (what: string, share: number) => void;
}

export interface MeasuredCase extends CaseResult {
  readonly name: string;
  readonly data: string;
}

/** Rates are voxels per second on one thread. */
export interface KernelBenchResult {
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly physicalCores: number;
    readonly node: string;
    readonly kernels: string;
    readonly date: string;
    readonly peers: readonly string[];
  };
  readonly rounds: number;
  readonly cases: readonly MeasuredCase[];
  /** Cases that the scan does not allow, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}

export async function benchKernels(input: KernelBenchInput): Promise<KernelBenchResult> {
  const { dipy, mrtrix, rounds, signal } = input;
  const cases: MeasuredCase[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  for (const [index, benchCase] of input.cases.entries()) {
    signal.throwIfAborted();
    const name = nameOfCase(benchCase);
    const { data, scheme, voxels, ...choice } = benchCase;
    const onProgress = (share: number) =>
      input.onProgress(`${name}: ${data}`, (index + share) / input.cases.length);
    onProgress(0);
    const count = input.voxels ?? voxels;
    const scan =
      scheme === undefined ? await voxelsOf(input.dwi!, count) : phantomScan(count, scheme);
    try {
      const hasMrtrix = mrtrix !== undefined;
      const measured = await measureCase({
        scan,
        choice,
        dipy,
        hasMrtrix,
        rounds,
        signal,
        onProgress,
      });
      cases.push({ name, data, ...measured });
    } catch (error) {
      if (scheme !== undefined || !(error instanceof InputError)) throw error;
      leftOut.push({ name, reason: error.message });
    }
  }
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    physicalCores: physicalCores(),
    node: process.version,
    kernels: kernelHash(),
    date: new Date().toISOString().slice(0, 10),
    peers: [dipy?.version, mrtrix].filter((version) => version !== undefined),
  };
  return { machine, rounds, cases, leftOut };
}

/** Peers whose absence the table explains. */
export interface Absent {
  readonly dipy: boolean;
  readonly mrtrix: boolean;
}

/** Lines for people, a Markdown table among them. */
export function kernelTable(result: KernelBenchResult, absent: Absent): string[] {
  const { machine, rounds, cases, leftOut } = result;
  const peers = machine.peers.map((version) => `, ${version}`).join("");
  const lines = [
    `${machine.date}, ${machine.cpu}, ${machine.cores} logical cores (${machine.physicalCores} physical), Node ${machine.node}${peers}`,
    `Voxels/s on one thread, medians of ${rounds} interleaved rounds; the ratio is the median of the rounds' own.`,
    "",
    "| model | data | Fascicle, voxels/s | peer | peer, voxels/s | ratio | answers |",
    "|---|---|---|---|---|---|---|",
  ];
  for (const { name, data, fascicle, peers } of cases) {
    const rate = whole(fascicle.median);
    if (peers.length === 0) lines.push(row([name, data, rate, "", "", "", ""]));
    for (const peer of peers) {
      const words = peer.answers?.words ?? "not compared: other settings";
      lines.push(
        row([name, data, rate, peer.peer, whole(peer.median), peer.ratio.toFixed(1), words]),
      );
    }
  }
  if (absent.dipy) lines.push(row(["all", "", "", "DIPY: not installed", "", "", ""]));
  if (absent.mrtrix) lines.push(row(["csd", "", "", "MRtrix3: not installed", "", "", ""]));
  lines.push("");
  for (const { name, reason } of leftOut) lines.push(`${name} was left out: ${reason}`);
  if (absent.dipy)
    lines.push(
      "DIPY is measured where a Python has it: pip install dipy, or python3-dipy of Debian (--python PATH).",
    );
  if (absent.mrtrix) lines.push("MRtrix3 is measured where its dwi2fod is on the PATH.");
  return lines;
}

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

const whole = (value: number) => Math.round(value).toLocaleString("en-US");
