/** What a seed chooses: the machines, the work, and what goes wrong. */
import { resultWindowBytes } from "@fascicle/transport";
import { type FaultKind, type FaultRates, faultKinds } from "./faultKinds.ts";
import type { NetworkLimits } from "./network.ts";
import { type Fate, JobPlan } from "./plan.ts";
import { Random } from "./random.ts";

export interface HostSize {
  readonly slots: number;
  readonly memoryBytes: number;
  readonly speed: number;
  readonly joinsMs: number;
  /** When it dies it is not started again. */
  readonly diesForGood?: boolean;
}

export type DriverAction =
  | { readonly atMs: number; readonly kind: "submit"; readonly plan: JobPlan }
  | { readonly atMs: number; readonly kind: "cancel"; readonly job: string }
  | { readonly atMs: number; readonly kind: "put"; readonly object: string }
  | {
      readonly atMs: number;
      readonly kind: "request";
      readonly actor: string;
      readonly restarts: number;
    };

export interface DriverPlan {
  readonly actions: readonly DriverAction[];
  readonly storeMs: number;
}

export interface Scenario {
  readonly seed: number;
  readonly hosts: readonly HostSize[];
  readonly drivers: readonly DriverPlan[];
  readonly network: NetworkLimits;
  readonly syncMs: number;
  /** Faults of each kind per minute. */
  readonly faults: FaultRates;
  /** From then on nothing goes wrong, and what is dead is started again. */
  readonly faultsEndMs: number;
  /** All must have ended by then. */
  readonly deadlineMs: number;
}

/** About how many chunks a scenario may have in all, so that thousands of seeds fit into minutes. */
const chunksPerScenario = 6_000;

/** How long each of two equals would last alone. */
const duelMs = 6_000;

/** No map lasts longer than about this, also if it may use few slots. */
const longestMapMs = 30_000;

const gibibyte = 2 ** 30;

export function scenarioOf(seed: number): Scenario {
  const random = new Random(seed, "scenario");
  const size = sizeOf(random);
  const hostCount = hostsOf(random, size);
  const slots = random.pick([8, 16, 32, 48, 72]);
  const areAlike = random.chance(0.3);
  const hosts = Array.from({ length: hostCount }, (_, i): HostSize => {
    const isLate = i > 0 && random.chance(0.15);
    return {
      slots: size === "duel" ? 8 : areAlike ? slots : random.pick([8, 16, 32, 48, 72]),
      memoryBytes: random.pick([2, 4, 8]) * gibibyte,
      speed: areAlike ? 1 : random.between(0.5, 1.5),
      joinsMs: isLate ? random.between(0, 10_000) : random.between(0, 300),
      diesForGood: i > 0 && random.chance(0.05),
    };
  });
  // One stays whatever happens, and can do what any other can.
  const memoryBytes = Math.max(...hosts.map((host) => host.memoryBytes));
  hosts[0] = { ...hosts[0], memoryBytes };
  const network = networkOf(random);
  const work = new WorkMaker(random, hosts, size, network);
  const drivers = work.drivers();
  const faultsEndMs = random.between(3_000, size === "huge" ? 6_000 : 40_000);
  return {
    seed,
    hosts,
    drivers,
    network,
    syncMs: random.pick([0.1, 5, 50, 1_000]),
    faults: faultsOf(random, work, size),
    faultsEndMs,
    deadlineMs: faultsEndMs + work.boundMs(),
  };
}

/** huge: thousands of hosts; duel: two jobs that are equals fill a few hosts, so that their shares can be compared. */
type Size = "huge" | "usual" | "duel";

function sizeOf(random: Random): Size {
  const part = random.fraction();
  if (part < 0.003) return "huge";
  return part < 0.03 ? "duel" : "usual";
}

function hostsOf(random: Random, size: Size): number {
  if (size === "huge") return random.whole(1_000, 3_000);
  return size === "duel" ? random.whole(1, 2) : random.sized(1, 50);
}

function networkOf(random: Random): NetworkLimits {
  const low = random.pick([0.05, 0.5, 5, 30]);
  const high = low * random.pick([1, 2, 10]);
  return { latencyMs: { low, high }, dialTimeoutMs: 3_000 };
}

/** Each seed tries some of the faults (swarm testing), and those at rates of its own. */
function faultsOf(random: Random, work: WorkMaker, size: Size): FaultRates {
  const isCalm = random.chance(size === "duel" ? 0.5 : 0.05);
  const rates: Partial<Record<FaultKind, number>> = {};
  for (const kind of faultKinds) {
    const isOn = random.chance(0.4);
    const perMinute = random.pick([2, 10, 40]);
    const isAllowed = !work.hasTasks || !forMapsAlone.includes(kind);
    if (isOn && isAllowed && !isCalm) rates[kind] = perMinute;
  }
  return rates;
}

/** Objects and actors live in the head, and are not journalled; nor are they taken up by a new driver. */
const forMapsAlone: readonly FaultKind[] = ["headKill", "driverKill"];

class WorkMaker {
  readonly #random: Random;
  readonly #hosts: readonly HostSize[];
  readonly #speed: number;
  readonly #size: Size;
  readonly #roundTripMs: number;
  readonly #kind: "maps" | "tasks" | "mixed" | "duel";
  #index = 0;
  #workMs = 0;
  #slowestMs = 0;
  #killers = 0;
  /** Actors keep their slots: on the host that stays whatever happens, one is left for everything else. */
  #actorsLeft: number;
  /** What results take where they wait for the window of one host. */
  #wireMs = 0;

  constructor(random: Random, hosts: readonly HostSize[], size: Size, network: NetworkLimits) {
    this.#random = random;
    // To the head, to the driver, and back; at its slowest, and with a driver that takes its time.
    this.#roundTripMs = 4 * network.latencyMs.high + 50;
    this.#size = size;
    this.#hosts = hosts;
    this.#actorsLeft = hosts[0].slots - 1;
    this.#speed = Math.min(...hosts.map(({ speed }) => speed));
    if (size === "usual") this.#kind = random.pick(["maps", "maps", "maps", "tasks", "mixed"]);
    else this.#kind = size === "duel" ? "duel" : "maps";
    this.#smallestSlots = Math.min(...hosts.map((host) => host.slots));
  }

  readonly #smallestSlots: number;

  get hasTasks(): boolean {
    return this.#kind === "tasks" || this.#kind === "mixed";
  }

  /** Time that must do when nothing goes wrong any more, even with one host: generous, for it is to find what never ends. */
  boundMs(): number {
    const aloneMs = this.#workMs / (this.#smallestSlots * this.#speed);
    return 180_000 + this.#wireMs + 2 * aloneMs + 20 * this.#slowestMs + this.#killers * 20_000;
  }

  drivers(): DriverPlan[] {
    const random = this.#random;
    const count = this.#kind === "duel" ? 1 : random.pick([1, 1, 1, 2, 3]);
    return Array.from({ length: count }, (_, i) => ({
      actions: this.#actions(`d${i}`, count),
      storeMs: random.pick([0, 0, 0.1, 2]),
    }));
  }

  #actions(driver: string, drivers: number): DriverAction[] {
    const random = this.#random;
    const actions: DriverAction[] = [];
    if (this.#kind === "duel") {
      for (const id of [`${driver}.m0`, `${driver}.m1`]) this.#equal(id, actions);
      return actions;
    }
    if (this.#kind !== "tasks") {
      const maps = random.pick([1, 1, 2, 3]);
      for (let i = 0; i < maps; i++) this.#map(`${driver}.m${i}`, maps * drivers, actions);
    }
    if (this.#kind === "maps") return actions;
    this.#tasks(driver, actions);
    this.#calls(driver, actions);
    return actions;
  }

  #map(id: string, maps: number, actions: DriverAction[]): void {
    const random = this.#random;
    const most = Math.max(1, Math.floor(chunksPerScenario / maps));
    const chunkCount = this.#size === "huge" ? 2 * most : random.sized(1, most);
    // So that the work lasts about as long as the faults do.
    const lastsMs = random.between(500, 15_000);
    const memoryBytes = random.chance(0.3) ? random.pick([0.5, 1.5, 3, 6]) * gibibyte : 1e6;
    const evenMs = (lastsMs * this.#slotsWith(memoryBytes)) / (chunkCount * maps);
    const meanChunkMs = Math.min(3_000, Math.max(1, evenMs * random.between(0.3, 1)));
    const bytesPerChunk = random.pick([1e3, 3e4, 1e6]);
    const fewestSlots = Math.ceil((chunkCount * meanChunkMs) / longestMapMs);
    const request = {
      job: id,
      chunkCount,
      slotLimit: random.chance(0.15) ? Math.max(fewestSlots, random.sized(1, 200)) : undefined,
      priority: random.chance(0.2) ? random.whole(-1, 2) : 0,
      memoryBytes,
    };
    const fates = this.#fates(chunkCount);
    const atMs = random.chance(0.5) ? random.between(0, 200) : random.between(0, 10_000);
    const plan = this.#plan(request, meanChunkMs, random.pick([1.5, 4, 20]), bytesPerChunk, fates);
    actions.push({ atMs, kind: "submit", plan });
    if (random.chance(0.08)) {
      actions.push({ atMs: atMs + random.between(0, 8_000), kind: "cancel", job: id });
    }
  }

  /** One of two jobs that are to have equal shares, whatever their chunks take. */
  #equal(id: string, actions: DriverAction[]): void {
    const random = this.#random;
    const slots = this.#hosts.reduce((sum, host) => sum + host.slots, 0);
    const meanMs = random.sized(10, 200);
    const chunkCount = Math.ceil((slots * duelMs) / meanMs);
    const request = { job: id, chunkCount, memoryBytes: 1e6 };
    const plan = this.#plan(request, meanMs, random.pick([1.5, 4]), 1e3, new Map());
    actions.push({ atMs: random.between(0, 500), kind: "submit", plan });
  }

  /** Slots on hosts where a job of this size finds room, if there is one at all. */
  #slotsWith(memoryBytes: number): number {
    const roomy = this.#hosts.filter((host) => host.memoryBytes >= memoryBytes);
    return roomy.reduce((sum, host) => sum + host.slots, 0) || this.#smallestSlots;
  }

  #fates(chunkCount: number): Map<number, Fate> {
    const random = this.#random;
    const fates = new Map<number, Fate>();
    if (random.chance(0.2)) {
      for (let i = random.whole(1, 3); i > 0; i--) {
        fates.set(random.whole(0, chunkCount - 1), "killsThread");
      }
    }
    if (random.chance(0.08)) {
      fates.set(random.whole(0, chunkCount - 1), "killsProcess");
      this.#killers++;
    }
    return fates;
  }

  /** Tasks over objects: some need what others make. */
  #tasks(driver: string, actions: DriverAction[]): void {
    const random = this.#random;
    const objects: string[] = [];
    for (let i = random.whole(0, 2); i > 0; i--) {
      const object = `${driver}.put${i}`;
      objects.push(object);
      actions.push({ atMs: 0, kind: "put", object });
    }
    let atMs = 0;
    for (let i = random.sized(1, 60); i > 0; i--) {
      atMs += random.between(0, 200);
      const needs: string[] = [];
      for (let k = random.whole(0, 3); k > 0 && objects.length > 0; k--) {
        const object = random.pick(objects);
        if (!needs.includes(object)) needs.push(object);
      }
      const makes = `${driver}.made${i}`;
      objects.push(makes);
      const request = { job: `${driver}.t${i}`, chunkCount: 1, needs, makes, memoryBytes: 1e6 };
      const meanMs = random.sized(5, 2_000);
      actions.push({
        atMs,
        kind: "submit",
        plan: this.#plan(request, meanMs, 1.5, 1e3, new Map()),
      });
    }
  }

  #calls(driver: string, actions: DriverAction[]): void {
    const random = this.#random;
    for (let i = random.whole(0, 4); i > 0 && this.#actorsLeft > 0; i--) {
      this.#actorsLeft--;
      const actor = `${driver}.a${i}`;
      const atMs = random.between(0, 2_000);
      actions.push({ atMs, kind: "request", actor, restarts: random.pick([0, 1, 5]) });
      const retries = random.pick([0, 0, 1, 3]);
      let callMs = atMs;
      for (let k = random.sized(1, 30); k > 0; k--) {
        callMs += random.between(0, 300);
        const request = { job: `${actor}.c${k}`, chunkCount: 1, actor, retries, memoryBytes: 1e6 };
        const plan = this.#plan(request, random.sized(5, 1_000), 1.5, 1e3, new Map());
        actions.push({ atMs: callMs, kind: "submit", plan });
      }
    }
  }

  #plan(
    request: JobPlan["request"],
    meanChunkMs: number,
    spread: number,
    bytesPerChunk: number,
    fates: ReadonlyMap<number, Fate>,
  ): JobPlan {
    const plan = new JobPlan({
      index: this.#index++,
      request,
      meanChunkMs,
      spread,
      bytesPerChunk,
      windowBytes: resultWindowBytes,
      fates,
    });
    this.#workMs += request.chunkCount * meanChunkMs * 2;
    const windows = Math.ceil((request.chunkCount * bytesPerChunk) / plan.windowBytes);
    this.#wireMs += windows * this.#roundTripMs;
    this.#slowestMs = Math.max(this.#slowestMs, plan.slowestMs);
    return plan;
  }
}
