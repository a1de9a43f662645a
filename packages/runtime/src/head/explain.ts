/** `runtime why`: the scheduler's sentences, with the names that users know. */
import { explain, type HeadState } from "@fascicle/core";
import type { Explanation } from "@fascicle/transport";
import type { HeadJob } from "./jobs.ts";

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

/** @param epochMs what the scheduler's clock shows as 0, in milliseconds since 1970. */
export function explanations(
  state: HeadState,
  jobs: ReadonlyMap<string, HeadJob>,
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
    sentence: names.inWords(sentence),
    story: story.map(({ nowMs, text }) => ({
      atMs: clock.epochMs + nowMs,
      text: names.inWords(text),
    })),
  }));
}
