/** What a worker tells its head of its memory and disk. Takes time by fits and their pages, however many chunks they have. */
import type { SlabPool } from "@fascicle/object-store";
import {
  type FitObjects,
  listedFitsLimit,
  type SpillUse,
  type WorkerMemory,
} from "@fascicle/transport";
import type { PageHost, PageOwnerUse } from "./pageHost.ts";

/** Longer words say nothing more. */
const wordsLimit = 1_000;

/** `jobOf` says to which fit an owner of pages belongs: a fit that is being opened again has two for a while. */
export function memoryReport(
  memory: SlabPool,
  pages: PageHost,
  jobOf: (owner: string) => string,
  spill: SpillUse | undefined,
): WorkerMemory {
  const fits = new Map<string, FitObjects>();
  for (const use of pages.list()) {
    const job = jobOf(use.owner);
    fits.set(job, together(job, fits.get(job), use));
  }
  const mostFirst = [...fits.values()].sort((a, b) => b.bytes - a.bytes);
  return {
    objectBytes: memory.usedBytes,
    heldBytes: memory.heldBytes,
    objects: memory.count,
    fits: mostFirst.slice(0, listedFitsLimit),
    spill: spill && inBounds(spill),
  };
}

function together(job: string, known: FitObjects | undefined, use: PageOwnerUse): FitObjects {
  const cannotSpill = use.cannotSpill?.slice(0, wordsLimit) ?? known?.cannotSpill;
  return {
    job,
    blocks: (known?.blocks ?? 0) + use.pages,
    bytes: (known?.bytes ?? 0) + use.bytes,
    pinnedBytes: (known?.pinnedBytes ?? 0) + use.pinnedBytes,
    spilledBytes: (known?.spilledBytes ?? 0) + use.spilledBytes,
    restoredBytes: (known?.restoredBytes ?? 0) + use.restoredBytes,
    waitingPortions: (known?.waitingPortions ?? 0) + use.waitingPortions,
    wantedBytes: Math.max(known?.wantedBytes ?? 0, use.wantedBytes),
    ...(cannotSpill !== undefined && { cannotSpill }),
  };
}

function inBounds({ directory, waitsSince, ...bytes }: SpillUse): SpillUse {
  return {
    directory: directory.slice(0, wordsLimit),
    ...bytes,
    ...(waitsSince !== undefined && { waitsSince: waitsSince.slice(0, wordsLimit) }),
  };
}
