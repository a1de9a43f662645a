/** `runtime why`: the scheduler's sentences, with the names that users know. */
import { explain, type HeadState } from "@fascicle/core";
import type { Explanation } from "@fascicle/transport";
import type { HeadJob } from "./jobs.ts";
import { type MemoryWait, memoryWaits, waitsForDisk } from "./memoryWaits.ts";
import type { AgentRecord } from "./status.ts";

/** The names of workers, of those that left as well: stories tell of them. */
export class WorkerNames {
  readonly #names = new Map<string, string>();
  readonly #limit = 1_000;

  add(agent: string, hostName: string, pid: number): void {
    this.#names.set(agent, `${hostName} (pid ${pid})`);
    const [oldest] = this.#names.keys();
    if (this.#names.size > this.#limit) this.#names.delete(oldest);
  }

  /** The names by which a user may mean a worker. */
  meant(name: string): string[] {
    const isMeant = (known: string) => known.startsWith(name) || known.endsWith(`(pid ${name})`);
    return [...this.#names].filter(([, known]) => isMeant(known)).map(([agent]) => agent);
  }

  nameOf(agent: string): string {
    return this.#names.get(agent) ?? agent;
  }

  /** Puts names for ids in a sentence; what the scheduler calls a job is a fit to users. */
  inWords(text: string): string {
    return text
      .replace(/\b([jJ])ob(s?) /g, (_, j, s) => `${j === "J" ? "F" : "f"}it${s} `)
      .replace(/[\w-]+(?:\.[\w-]+)*/g, (word) => this.nameOf(word));
  }
}

/** A question is answered with so many explanations at most. */
const explanationsLimit = 100;

/** So many workers or fits of which something waits for memory are named in one answer. */
const waitsNamed = 5;

/** @param agents what workers said of their memory. @param epochMs what the scheduler's clock shows as 0, in milliseconds since 1970. */
export function explanations(
  state: HeadState,
  jobs: ReadonlyMap<string, HeadJob>,
  agents: ReadonlyMap<string, AgentRecord>,
  names: WorkerNames,
  clock: { readonly nowMs: number; readonly epochMs: number },
  name: string | undefined,
): Explanation[] {
  const direct = explain(state, clock.nowMs, name);
  const byHost = name === undefined ? [] : names.meant(name);
  const meant = byHost.flatMap((agent) => explain(state, clock.nowMs, agent));
  return [...direct, ...meant].slice(0, explanationsLimit).map(({ kind, id, sentence, story }) => ({
    kind: kind === "job" ? "fit" : kind,
    id,
    name: kind === "job" ? (jobs.get(id)?.spec.model ?? "") : names.nameOf(id),
    sentence: [
      names.inWords(sentence),
      ...diskWords(kind === "job" ? jobs.get(id) : undefined),
      ...memoryWords(kind, id, agents, names),
    ].join(" "),
    story: story.map(({ nowMs, text }) => ({
      atMs: clock.epochMs + nowMs,
      text: names.inWords(text),
    })),
  }));
}

function diskWords(job: HeadJob | undefined): string[] {
  const sentence = job && waitsForDisk(job);
  return sentence === undefined ? [] : [sentence];
}

/** What of a fit, or at a worker, waits for memory or for room on disk. */
function memoryWords(
  kind: "job" | "worker" | "actor",
  id: string,
  agents: ReadonlyMap<string, AgentRecord>,
  names: WorkerNames,
): string[] {
  const own = agents.get(id);
  if (kind === "worker") return own === undefined ? [] : some(memoryWaits(own));
  if (kind === "actor") return [];
  const waits = [...agents].flatMap(([agent, record]) => {
    return memoryWaits(record, id).map((wait) => ({
      ...wait,
      sentence: `On ${names.nameOf(agent)}: ${wait.sentence}`,
    }));
  });
  return some(waits);
}

function some(waits: readonly MemoryWait[]): string[] {
  const left = waits.length - waitsNamed;
  const named = waits.slice(0, waitsNamed).map(({ sentence }) => sentence);
  return left > 0 ? [...named, `And so with ${left} more.`] : named;
}
