/** The shells of a gradient table and the choice among them. */
import { counted } from "../counted.ts";
import type { GradientTable } from "../io/dwi.ts";
import { InputError } from "../model.ts";

/** Neighbouring b-values at most this far apart belong to one shell, s/mm². */
const SHELL_GAP = 100;

/** Diffusion-weighted volumes of about one b-value. */
export interface Shell {
  /** Mean b-value, s/mm², rounded. */
  readonly bval: number;
  readonly lowest: number;
  readonly highest: number;
  /** Volumes, ascending. */
  readonly volumes: Int32Array;
}

/** `largest` b, the one within 100 of a number, or `all` volumes that are not b0. */
export type ShellChoice = "largest" | "all" | number;

/** The shells of a table, b ascending; b0 volumes belong to none. */
export function shellsOf({ bvals, isB0 }: GradientTable): Shell[] {
  const order = Array.from(bvals.keys())
    .filter((i) => isB0[i] === 0)
    .sort((i, j) => bvals[i] - bvals[j] || i - j);
  const groups: number[][] = [];
  for (const volume of order) {
    const group = groups.at(-1);
    if (group !== undefined && bvals[volume] - bvals[group.at(-1)!] <= SHELL_GAP) {
      group.push(volume);
    } else {
      groups.push([volume]);
    }
  }
  return groups.map((group) => ({
    bval: Math.round(group.reduce((sum, i) => sum + bvals[i], 0) / group.length),
    lowest: bvals[group[0]],
    highest: bvals[group.at(-1)!],
    volumes: Int32Array.from(group).sort(),
  }));
}

export interface ChosenShells {
  readonly shells: readonly Shell[];
  /** Volumes of the shells, in file order. */
  readonly volumes: Int32Array;
  readonly warnings: readonly string[];
}

/** Throws InputError where there is no diffusion-weighted volume or no such shell; the message lists those there are. */
export function chooseShells(gradients: GradientTable, choice: ShellChoice): ChosenShells {
  const shells = shellsOf(gradients);
  const last = shells.at(-1);
  if (last === undefined) {
    throw new InputError(
      `No volume that is kept has a b-value above the b0 threshold of ${gradients.b0Threshold} (a b-value limit leaves larger ones out); CSD needs diffusion-weighted volumes.`,
    );
  }
  if (choice === "all") return withWarnings(shells);
  if (choice === "largest") return withWarnings([last]);
  const distance = (shell: Shell) =>
    Math.max(shell.lowest - choice, choice - shell.highest, 0) <= SHELL_GAP
      ? Math.abs(shell.bval - choice)
      : Number.POSITIVE_INFINITY;
  const nearest = shells.reduce((best, shell) => (distance(shell) < distance(best) ? shell : best));
  if (!Number.isFinite(distance(nearest))) {
    const list = shells.map(
      ({ bval, volumes }) => `${bval} (${counted(volumes.length, "volume")})`,
    );
    throw new InputError(
      `No shell lies within ${SHELL_GAP} of b = ${choice}; choose one of b = ${list.join(", ")}, or "largest" or "all".`,
    );
  }
  return withWarnings([nearest]);
}

function withWarnings(shells: readonly Shell[]): ChosenShells {
  const warnings: string[] = [];
  if (shells.length > 1) {
    warnings.push(
      `CSD fits the volumes of ${shells.length} shells (b = ${shells.map((s) => s.bval).join(", ")}) with one response; choose one shell for sharper orientations.`,
    );
  }
  for (const { lowest, highest } of shells) {
    if (highest - lowest <= 2 * SHELL_GAP) continue;
    warnings.push(
      `The b-values from ${lowest} to ${highest} lie too close together to part; they count as one shell.`,
    );
  }
  const volumes = Int32Array.from(shells.flatMap((shell) => Array.from(shell.volumes))).sort();
  return { shells, volumes, warnings };
}
