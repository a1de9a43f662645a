/** What this user's processes have on the disk of this host, or left there. */
import { counted } from "@fascicle/core";
import type { SweptWorkspace } from "@fascicle/object-store";
import { knownLedgers } from "../ledger/ledgerRegister.ts";
import { workspacesHere } from "./deadScratch.ts";
import { formatBytes, formatSeconds } from "./parse.ts";

/** A directory of scratch files. */
export interface ScratchHere {
  readonly path: string;
  readonly bytes: number;
  /** `pid 12 on HOST`. */
  readonly who: string;
  /** What it is for; "" where nobody knows. */
  readonly what: string;
  readonly state: SweptWorkspace["state"];
}

/** What `--resume` needs: of a fit that runs, or of one that died. */
export interface LedgerHere {
  readonly path: string;
  readonly bytes: number;
  readonly isAlive: boolean;
  readonly who: string;
  /** Since its process was last heard of. */
  readonly ageSeconds: number;
}

export interface HereOnDisk {
  readonly scratch: readonly ScratchHere[];
  readonly ledgers: readonly LedgerHere[];
}

/** Looks; removes nothing. */
export async function hereOnDisk(): Promise<HereOnDisk> {
  const scratch = (await workspacesHere(true)).map(({ path, bytes, who, what, state }) => ({
    ...{ path, bytes, who, what, state },
  }));
  const ledgers = (await knownLedgers()).map(({ path, bytes, isAlive, who, heardMs }) => ({
    ...{ path, bytes, isAlive, who },
    ageSeconds: Math.max(0, Math.round((Date.now() - heardMs) / 1000)),
  }));
  return { scratch, ledgers };
}

/** Lines of text. */
export function renderHere({ scratch, ledgers }: HereOnDisk): string[] {
  const inState = (state: ScratchHere["state"]) => scratch.filter((each) => each.state === state);
  const groups: [string, readonly ScratchHere[]][] = [
    ["of running processes", inState("alive")],
    ["left by dead processes: `runtime gc` removes it", inState("dead")],
    ["of processes that cannot be seen from here", inState("unknown")],
  ];
  const lines = groups.flatMap(([title, found]) => group("scratch folder", title, found, lineOf));
  const kept = ledgers.filter(({ isAlive }) => !isAlive);
  const live = ledgers.filter(({ isAlive }) => isAlive);
  lines.push(
    ...group("ledger", "of running fits", live, ledgerLine),
    ...group(
      "ledger",
      "of fits that died here: --resume continues them, `runtime gc --all` removes them",
      kept,
      ledgerLine,
    ),
  );
  return lines.length === 0 ? ["on disk here: no scratch and no ledger of yours"] : lines;
}

function group<T extends { readonly bytes: number }>(
  noun: string,
  title: string,
  found: readonly T[],
  line: (each: T) => string,
): string[] {
  if (found.length === 0) return [];
  const bytes = found.reduce((sum, each) => sum + each.bytes, 0);
  const head = `on disk here: ${counted(found.length, noun)}, ${formatBytes(bytes)}, ${title}`;
  return [head, ...found.map((each) => `  ${line(each)}`)];
}

const lineOf = ({ path, bytes, what, who }: ScratchHere) =>
  `${path} (${what === "" ? "" : `${what}, `}${formatBytes(bytes)}, ${who})`;

const ledgerLine = ({ path, bytes, who, isAlive, ageSeconds }: LedgerHere) =>
  `${path} (${formatBytes(bytes)}, ${who}${isAlive ? "" : `, left ${formatSeconds(ageSeconds)} ago`})`;
