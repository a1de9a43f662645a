/** What happens to whom and when in one round: all of it follows from the seed. */
import type { Direction } from "./badNetwork.ts";
import { Chance } from "./random.ts";

export const workerCount = 4;

/** A process that is silent for this long is given up (the transport's limit, with something for a tick)... */
const beyondSilenceMs = [8_500, 10_500] as const;
/** ...and after this it is not, though its session may be over. */
const shortMs = [50, 3_500] as const;

/** The maps are written in about this time. */
const writingMs = 250;

/** The processes of a round; `network` is everything between the head and the others. */
type Target = "worker" | "head" | "driver" | "network";

export type Act =
  /** kill -9. A worker is replaced, a head started again on its state, a driver run again with `--resume`. */
  | { readonly type: "kill"; readonly againAfterMs: number }
  /** SIGSTOP, and SIGCONT later. */
  | { readonly type: "stop"; readonly durationMs: number }
  /** Connections are reset; new ones are taken. */
  | { readonly type: "break" }
  /** Connections are reset, and so are new ones. */
  | { readonly type: "refuse"; readonly durationMs: number }
  /** Connections stay open and move nothing. */
  | { readonly type: "stall"; readonly direction: Direction; readonly durationMs: number }
  /** SIGTERM: a worker finishes what it has begun and goes; another comes. */
  | { readonly type: "leave"; readonly againAfterMs: number };

export type Moment = "start" | "fitting" | "writing";

export interface Fault {
  /** From the start of the driver, the first sign of the fit at work, or the first of maps being written. */
  readonly afterMs: number;
  readonly from: Moment;
  readonly target: Target;
  /** Which of the workers, where the target is one. */
  readonly worker: number;
  readonly act: Act;
}

export interface Plan {
  readonly seed: number;
  /** Ordered by time. At least one of them kills. */
  readonly faults: readonly Fault[];
  readonly chunks: string;
  /** `--workers`: fewer than there are, so that some wait to take the place of others; or all. */
  readonly workers: readonly string[];
  /** Whether the head has a `--state-dir` of the user's own. */
  readonly hasOwnStateDirectory: boolean;
  /** Whether the driver starts before the workers have joined. */
  readonly isDriverEarly: boolean;
  /** `--object-memory` of workers, or none: a fraction of the signals, so that blocks and results come and go. */
  readonly workerMemory: readonly string[];
  /** Likewise of the driver, which then has its results on disk; and whether it sends signals to workers that could read them. */
  readonly driverMemory: readonly string[];
}

/** A long one lasts beyond what is waited for; a late one falls into the writing of the maps. */
type Kind = readonly [target: Target, type: Act["type"], how?: "long" | "late"];

/**
 * Every kind of fault on every kind of process, in the order in which they take their turns. Their number is odd, so
 * that the pairs change from one turn to the next; two long ones never make a pair.
 */
const kinds: readonly Kind[] = [
  ["worker", "kill"],
  ["head", "stop"],
  ["driver", "kill", "late"],
  ["driver", "kill"],
  ["network", "break"],
  ["head", "kill"],
  ["worker", "stop"],
  ["driver", "break"],
  ["worker", "stop", "long"],
  ["network", "refuse"],
  ["driver", "stall"],
  ["head", "stop", "long"],
  ["worker", "break"],
  ["driver", "stop", "long"],
  ["worker", "refuse"],
  ["network", "stall"],
  ["worker", "stall", "long"],
  ["driver", "refuse"],
  ["worker", "leave"],
  ["driver", "stall", "long"],
  ["worker", "stall"],
  ["head", "kill", "long"],
  ["driver", "stop"],
  ["head", "kill", "late"],
  ["network", "stall", "long"],
];

const kills = kinds.filter(([, type, how]) => type === "kill" && how === undefined);

/** The largest chunk needs 1.5 MiB of it, the signals are 15. */
const smallMemory = ["--object-memory", "2MiB"];

/** Two kinds of fault take their turns from seed to seed, so that few rounds see them all; the rest is chance. */
export function planOf(seed: number, fitMs: number): Plan {
  const chance = new Chance(seed);
  const turn = (offset: number) => kinds[(2 * seed + offset) % kinds.length];
  const chosen = [turn(0), turn(1)];
  const isDeadly = ([, type, how]: Kind) => type === "kill" && how !== "late";
  if (!chosen.some(isDeadly)) chosen.push(kills[seed % kills.length]);
  if (chance.isLucky(0.4)) chosen.push(chance.pick(kinds.filter(([, , how]) => how !== "long")));
  const faults = chosen.map((kind) => faultOf(kind, chance, fitMs));
  return {
    seed,
    faults: faults.sort((a, b) => timeOf(a, fitMs) - timeOf(b, fitMs)),
    chunks: chance.pick(["auto", "40", "200", "1000"]),
    workers: chance.isLucky(0.25) ? ["--workers", "3"] : [],
    hasOwnStateDirectory: chance.isLucky(0.5),
    isDriverEarly: chance.isLucky(0.2),
    workerMemory: chance.pick([[], smallMemory, ["--object-memory", "3MiB"]]),
    driverMemory: [
      ...(chance.isLucky(0.3) ? smallMemory : []),
      ...(chance.isLucky(0.6) ? ["--send-volume"] : []),
    ],
  };
}

const moments: readonly Moment[] = ["start", "fitting", "writing"];

const timeOf = ({ from, afterMs }: Fault, fitMs: number) => moments.indexOf(from) * fitMs + afterMs;

function faultOf([target, type, how]: Kind, chance: Chance, fitMs: number): Fault {
  const from = momentOf(type, how, chance);
  return {
    from,
    afterMs: Math.round(chance.between(0, latestMs(type, from, fitMs))),
    target,
    worker: chance.below(workerCount),
    act: actOf(type, chance, how === "long"),
  };
}

function momentOf(type: Act["type"], how: Kind[2], chance: Chance): Moment {
  if (how === "late") return "writing";
  return type !== "kill" && chance.isLucky(0.15) ? "start" : "fitting";
}

/** Deaths come early enough to be sure that the fit has not ended. */
function latestMs(type: Act["type"], from: Moment, fitMs: number): number {
  if (from === "writing") return writingMs;
  return fitMs * (type === "kill" ? 0.4 : 0.7);
}

function actOf(type: Act["type"], chance: Chance, isLong: boolean): Act {
  const [low, high] = isLong ? beyondSilenceMs : shortMs;
  const durationMs = Math.round(chance.between(low, high));
  const againAfterMs = Math.round(isLong ? chance.between(3_000, 6_000) : chance.between(0, 1_000));
  switch (type) {
    case "stall":
      return { type, durationMs, direction: chance.pick(["both", "both", "toHead", "toPeer"]) };
    case "stop":
    case "refuse":
      return { type, durationMs };
    case "kill":
    case "leave":
      return { type, againAfterMs };
    case "break":
      return { type };
  }
}

/** A fault in words, for the timeline of a round. */
export function describe({ target, worker, act }: Fault): string {
  const who = target === "worker" ? `worker ${worker}` : target;
  const details = Object.entries(act).filter(([name]) => name !== "type");
  return [`${act.type} ${who}`, ...details.map(([name, value]) => `${name} ${value}`)].join(", ");
}
