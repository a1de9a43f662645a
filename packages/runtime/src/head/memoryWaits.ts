/** What waits for memory or for room on disk at a worker, with numbers and what to do, in sentences. */
import { counted, type HeadState } from "@fascicle/core";
import { bytesInWords } from "@fascicle/object-store";
import { type FitObjects, listedWaitsLimit } from "@fascicle/transport";
import type { AgentRecord } from "./status.ts";

/** Something waits, or cannot have what it wants; `job` where it is one fit's. */
export interface MemoryWait {
  readonly job: string | undefined;
  readonly sentence: string;
}

/** What the worker said of itself; with `only`, of that fit alone, in sentences that are about it anyhow. */
export function memoryWaits(record: AgentRecord, only?: string): MemoryWait[] {
  const waits: MemoryWait[] = [];
  const { fits, spill } = record.memory;
  const meant = only === undefined ? fits : fits.filter(({ job }) => job === only);
  for (const fit of meant) {
    const { job, waitingPortions, cannotSpill } = fit;
    if (waitingPortions > 0) {
      const whose = only === undefined ? `the chunks of fit ${job}` : "its chunks";
      waits.push({ job, sentence: waitsForMemory(fit, record, whose) });
    }
    if (cannotSpill !== undefined) {
      const whose = only === undefined ? `Blocks of fit ${job}` : "Its blocks";
      const sentence = `${whose} that must leave memory are not kept on disk and come from their source again: ${cannotSpill}`;
      waits.push({ job, sentence });
    }
  }
  if (only === undefined && spill?.waitsSince !== undefined) {
    const used = `${bytesInWords(spill.bytes)} of ${bytesInWords(spill.limitBytes)}`;
    const sentence = `Writing to ${spill.directory} (${used}) waits, since ${spill.waitsSince}: raise --spill-limit there, or free some space.`;
    waits.push({ job: undefined, sentence });
  }
  return waits;
}

function waitsForMemory(fit: FitObjects, record: AgentRecord, whose: string): string {
  const { job, waitingPortions, wantedBytes, pinnedBytes } = fit;
  const { host, memory, busySlots } = record;
  const verb = waitingPortions === 1 ? "waits" : "wait";
  const budget = `${bytesInWords(memory.objectBytes)} of ${bytesInWords(host.objectMemoryBytes)}`;
  const numbers = `${budget} are taken, ${bytesInWords(pinnedBytes)} by chunks in work or to be sent; the next needs ${bytesInWords(wantedBytes)} more`;
  const what = `${counted(waitingPortions, "portion")} of ${whose} ${verb} for object memory (${numbers})`;
  const busy = [...busySlots.values()].reduce((sum, slots) => sum + slots, 0);
  // Work is leased ahead: that some of it waits costs nothing while threads have enough.
  if (busy >= host.slots) return `${what}; meanwhile all slots are at work.`;
  const own = busySlots.get(job) ?? 0;
  return `${what}, and ${own} of ${counted(host.slots, "slot")} at work on it: raise --object-memory there, or use more chunks.`;
}

/** What a fit waits for whose driver has no room on disk for its results. */
export function waitsForDisk({ diskWait }: { readonly diskWait: string | undefined }) {
  if (diskWait === undefined) return undefined;
  return `Its results wait for room on the disk of its driver, since ${diskWait}: raise --spill-limit of the fit, free some space there, or give it another --spill-dir.`;
}

/** By worker: fits that have no room there beside others. */
export function roomWaits(state: HeadState): Map<string, MemoryWait[]> {
  const waits = new Map<string, MemoryWait[]>();
  for (const [job, { deferrals, request }] of state.jobs) {
    for (const agent of deferrals.keys()) {
      const { memoryBytes } = state.agents.get(agent) ?? {};
      const size =
        request.memoryBytes === undefined || memoryBytes === undefined
          ? ""
          : ` (a chunk needs ${bytesInWords(request.memoryBytes)} of ${bytesInWords(memoryBytes)})`;
      const sentence = `Fit ${job} has no room beside the others${size}: raise --object-memory there, or use more chunks.`;
      waits.set(agent, [...(waits.get(agent) ?? []), { job, sentence }]);
    }
  }
  return waits;
}

/** The first few: nobody reads a hundred. */
export function listedWaits(waits: readonly MemoryWait[]): string[] {
  return waits
    .slice(0, listedWaitsLimit)
    .map(({ sentence }) => sentence.slice(0, waitLettersLimit));
}

const waitLettersLimit = 1_500;
