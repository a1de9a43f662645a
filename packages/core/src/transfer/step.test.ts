import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BlockName, TransferEffect, TransferEvent } from "./events.ts";
import { checkTransferInvariants, emptyTransferState, type TransferState } from "./state.ts";
import { stepTransfer } from "./step.ts";

type Send = Extract<TransferEffect, { type: "SendFromHost" | "SendFromDriver" }>;

/** The machine with hosts around it that do what they are told. */
class Hosts {
  readonly state: TransferState = emptyTransferState();
  readonly #present = new Set<string>();
  /** What is on its way, by receiver and block. */
  readonly sends = new Map<string, Send>();
  readonly fromDriver: string[] = [];
  /** Every pair and block that failed. */
  readonly #failed = new Set<string>();

  join(agent: string, isReachable = true, island?: string): void {
    this.#present.add(agent);
    this.step({ type: "AgentJoined", agent, isReachable, island });
  }

  leave(agent: string): void {
    this.#present.delete(agent);
    for (const [key, { to }] of [...this.sends]) if (to === agent) this.sends.delete(key);
    this.step({ type: "AgentLeft", agent });
  }

  want(agent: string, object: BlockName): void {
    const key = keyOf(agent, object);
    // A new want: what failed before counts no more.
    if (!this.isWanted(agent, object)) {
      for (const failed of [...this.#failed]) {
        if (failed.endsWith(` ${key}`)) this.#failed.delete(failed);
      }
    }
    this.step({ type: "Wanted", agent, object });
  }

  arrive(key: string): void {
    const { to: agent, object } = this.#take(key);
    this.step({ type: "Arrived", agent, object });
  }

  /** What comes from the driver comes for certain. */
  fail(key: string, isAbsent = false): void {
    const send = this.sends.get(key)!;
    if (send.type === "SendFromDriver") return;
    this.#take(key);
    const { from: source, to: agent, object } = send;
    this.#failed.add(`${source} ${key}`);
    this.step({ type: "Failed", agent, object, source, isAbsent });
  }

  drop(agent: string, object: BlockName): void {
    this.sends.delete(keyOf(agent, object));
    this.step({ type: "Dropped", agent, object });
  }

  partEnded(agent: string, job: string): void {
    for (const [key, { to, object }] of [...this.sends]) {
      if (to === agent && object.job === job) this.sends.delete(key);
    }
    this.step({ type: "PartEnded", agent, job });
  }

  gone(job: string): void {
    for (const [key, { object }] of [...this.sends]) if (object.job === job) this.sends.delete(key);
    this.step({ type: "ObjectsGone", job });
  }

  step(event: TransferEvent): string[] {
    const effects: TransferEffect[] = [];
    stepTransfer(this.state, event, effects);
    checkTransferInvariants(this.state);
    for (const effect of effects) {
      const key = keyOf(effect.to, effect.object);
      // Who counts on a source that will send no more finds that out, and says so later.
      if (effect.type === "AbandonSource") continue;
      expect(this.sends.has(key), `${key} is sent twice`).toBe(false);
      expect(this.#present.has(effect.to), "somebody is sent to who left").toBe(true);
      if (effect.type === "SendFromHost") {
        expect(effect.from).not.toBe(effect.to);
        expect(this.#present.has(effect.from), "somebody is asked who left").toBe(true);
        expect(this.#failed.has(`${effect.from} ${key}`), "asked again").toBe(false);
      } else {
        this.fromDriver.push(key);
      }
      this.sends.set(key, effect);
    }
    return effects.map((effect) =>
      "from" in effect
        ? `${effect.type} ${effect.from} ${keyOf(effect.to, effect.object)}`
        : `${effect.type} ${keyOf(effect.to, effect.object)}`,
    );
  }

  isWanted(agent: string, { job, block }: BlockName): boolean {
    const entry = this.state.jobs.get(job)?.get(block);
    return entry !== undefined && this.state.hosts.get(agent)?.wants.has(entry) === true;
  }

  wantsOf(): number {
    let sum = 0;
    for (const host of this.state.hosts.values()) sum += host.wants.size;
    return sum;
  }

  #take(key: string): Send {
    const send = this.sends.get(key)!;
    this.sends.delete(key);
    return send;
  }
}

const keyOf = (agent: string, { job, block }: BlockName) => `${agent}:${job}/${block}`;
const block = (number: number, job = "j"): BlockName => ({ job, block: number });

describe("the machine of transfers", () => {
  it("sends a block from the driver to one host, and from there as a tree", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (count) => {
        const hosts = new Hosts();
        for (let i = 0; i < count; i++) hosts.join(`h${i}`);
        for (let i = 0; i < count; i++) hosts.want(`h${i}`, block(0));
        let rounds = 0;
        for (; hosts.sends.size > 0; rounds++) {
          for (const key of [...hosts.sends.keys()]) hosts.arrive(key);
        }
        expect(hosts.fromDriver).toHaveLength(1);
        expect(hosts.wantsOf()).toBe(0);
        expect(rounds).toBeLessThanOrEqual(Math.ceil(Math.log2(count)) + 2);
      }),
      { numRuns: 60 },
    );
  });

  it("lets nobody wait for ever, whoever fails, leaves, forgets or cannot be reached", () => {
    const agents = ["a", "b", "c", "d", "e", "f"];
    const action = fc.record({
      what: fc.constantFrom(
        ...["want", "want", "want", "want", "arrive", "arrive", "arrive", "fail", "absent"],
        ...["leave", "join", "drop", "part", "gone", "stray"],
      ),
      agent: fc.constantFrom(...agents),
      number: fc.nat(2),
      job: fc.constantFrom("j", "j", "k"),
      pick: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120, size: "max" }), (script) => {
        const hosts = new Hosts();
        hosts.join("a");
        hosts.join("b", true, "island");
        hosts.join("c", false);
        hosts.join("d");
        for (const { what, agent, number, job, pick } of script) {
          const object = block(number, job);
          const underWay = [...hosts.sends.keys()];
          const key = underWay[pick % Math.max(1, underWay.length)];
          const isThere = hosts.state.hosts.has(agent);
          if (what === "want") hosts.want(agent, object);
          else if (what === "arrive" && key !== undefined) hosts.arrive(key);
          else if (what === "fail" && key !== undefined) hosts.fail(key);
          else if (what === "absent" && key !== undefined) hosts.fail(key, true);
          else if (what === "leave" && isThere) hosts.leave(agent);
          else if (what === "join" && !isThere) {
            const island = pick % 3 === 0 ? "island" : undefined;
            hosts.join(agent, pick % 4 > 0, island);
          } else if (what === "drop") hosts.drop(agent, object);
          else if (what === "part") hosts.partEnded(agent, job);
          else if (what === "gone") hosts.gone(job);
          else if (what === "stray") {
            const source = agents[pick % agents.length];
            hosts.step({ type: "Failed", agent, object: block(7), source, isAbsent: false });
          }
        }
        // From now on every other transfer fails that can.
        for (let i = 0; hosts.sends.size > 0; i++) {
          expect(i).toBeLessThan(2_000);
          const [key] = hosts.sends.keys();
          if (i % 2 === 0) hosts.fail(key);
          else hosts.arrive(key);
        }
        expect(hosts.wantsOf()).toBe(0);
        expect(hosts.state.waiting.size).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it("asks another source where one fails, and the driver last", () => {
    const hosts = new Hosts();
    for (const agent of ["a", "b", "c"]) hosts.join(agent);
    for (const agent of ["a", "b"]) hosts.step({ type: "Arrived", agent, object: block(0) });
    const failed = (source: string) =>
      hosts.step({ type: "Failed", agent: "c", object: block(0), source, isAbsent: false });
    hosts.want("c", block(0));
    expect([...hosts.sends.values()]).toMatchObject([{ from: "a", to: "c" }]);
    hosts.sends.clear();
    expect(failed("a")).toEqual(["SendFromHost b c:j/0"]);
    hosts.sends.clear();
    // What it says again of the first is old.
    expect(failed("a")).toEqual([]);
    expect(failed("b")).toEqual(["SendFromDriver c:j/0"]);
  });

  it("gives the receivers of a host that leaves another source, once they have said how far they are", () => {
    const hosts = new Hosts();
    for (const agent of ["a", "b", "c"]) hosts.join(agent);
    for (const agent of ["a", "b"]) hosts.step({ type: "Arrived", agent, object: block(0) });
    hosts.want("c", block(0));
    expect(hosts.step({ type: "AgentLeft", agent: "a" })).toEqual(["AbandonSource a c:j/0"]);
    hosts.sends.clear();
    const word = { agent: "c", object: block(0), source: "a", isAbsent: false };
    expect(hosts.step({ type: "Failed", ...word })).toEqual(["SendFromHost b c:j/0"]);
  });

  it("keeps no host busy with more than two at a time, and lets those who wait longest go first", () => {
    const hosts = new Hosts();
    for (const agent of ["a", "b", "c", "d", "e"]) hosts.join(agent);
    for (const number of [0, 1]) {
      hosts.step({ type: "Arrived", agent: "a", object: block(number) });
    }
    for (const agent of ["b", "c", "d"]) hosts.want(agent, block(0));
    hosts.want("e", block(1));
    expect([...hosts.sends.keys()]).toEqual(["b:j/0", "c:j/0"]);
    hosts.arrive("b:j/0");
    expect([...hosts.sends.keys()]).toEqual(["c:j/0", "d:j/0", "e:j/1"]);
    expect(hosts.fromDriver).toEqual([]);
  });

  it("asks a host no more that others failed with, and an unreachable one never", () => {
    const hosts = new Hosts();
    hosts.join("dumb", false);
    for (const agent of ["deaf", "b", "c", "d", "e"]) hosts.join(agent);
    for (const number of [0, 1, 2, 3]) {
      hosts.step({ type: "Arrived", agent: "deaf", object: block(number) });
      hosts.step({ type: "Arrived", agent: "dumb", object: block(number) });
    }
    for (const [number, agent] of ["b", "c", "d"].entries()) {
      hosts.want(agent, block(number));
      hosts.fail(keyOf(agent, block(number)));
    }
    hosts.want("e", block(3));
    expect(hosts.fromDriver).toEqual(["b:j/0", "c:j/1", "d:j/2", "e:j/3"]);
  });

  it("does not hold against a host that others died while they sent to it", () => {
    const hosts = new Hosts();
    for (const agent of ["a", "b", "c", "d", "target"]) hosts.join(agent);
    for (const [number, agent] of ["a", "b", "c"].entries()) {
      hosts.step({ type: "Arrived", agent, object: block(number) });
      hosts.want("target", block(number));
      hosts.fail(keyOf("target", block(number)));
      hosts.leave(agent);
    }
    hosts.step({ type: "Arrived", agent: "d", object: block(9) });
    hosts.want("target", block(9));
    expect(hosts.sends.get("target:j/9")).toMatchObject({ type: "SendFromHost", from: "d" });
  });

  it("blames nobody for a block that was dropped", () => {
    const hosts = new Hosts();
    for (const agent of ["a", "b"]) hosts.join(agent);
    for (let number = 0; number < 5; number++) {
      hosts.step({ type: "Arrived", agent: "a", object: block(number) });
      hosts.want("b", block(number));
      hosts.fail(keyOf("b", block(number)), true);
    }
    hosts.step({ type: "Arrived", agent: "a", object: block(9) });
    hosts.want("b", block(9));
    expect(hosts.sends.get("b:j/9")).toMatchObject({ type: "SendFromHost", from: "a" });
  });

  it("sends within an island only, and from anywhere to it", () => {
    const hosts = new Hosts();
    hosts.join("island1", true, "lo");
    hosts.join("island2", true, "lo");
    hosts.join("main1");
    hosts.step({ type: "Arrived", agent: "island1", object: block(0) });
    hosts.step({ type: "Arrived", agent: "main1", object: block(1) });
    hosts.want("main1", block(0));
    hosts.want("island2", block(0));
    hosts.want("island1", block(1));
    expect(hosts.fromDriver).toEqual(["main1:j/0"]);
    expect(hosts.sends.get("island2:j/0")).toMatchObject({ from: "island1" });
    expect(hosts.sends.get("island1:j/1")).toMatchObject({ from: "main1" });
  });

  it("keeps nothing of a fit that is gone", () => {
    const hosts = new Hosts();
    for (const agent of ["a", "b", "c", "d"]) hosts.join(agent);
    for (const agent of ["a", "b", "c", "d"]) hosts.want(agent, block(0));
    hosts.arrive("a:j/0");
    hosts.gone("j");
    expect(hosts.state.jobs.size).toBe(0);
    hosts.step({ type: "Arrived", agent: "a", object: block(0, "k") });
    for (const agent of ["b", "c"]) hosts.want(agent, block(0, "k"));
    expect([...hosts.sends.keys()]).toEqual(["b:k/0", "c:k/0"]);
    hosts.partEnded("b", "k");
    hosts.partEnded("c", "k");
    hosts.partEnded("a", "k");
    expect(hosts.state.jobs.size).toBe(0);
  });

  it("serves a thousand hosts that want the same blocks, each once", () => {
    const state = emptyTransferState();
    const effects: TransferEffect[] = [];
    const names = Array.from({ length: 1_000 }, (_, i) => `h${i}`);
    for (const agent of names) {
      stepTransfer(state, { type: "AgentJoined", agent, isReachable: true }, effects);
    }
    for (const agent of names) {
      for (let i = 0; i < 4; i++) {
        stepTransfer(state, { type: "Wanted", agent, object: block(i) }, effects);
      }
    }
    let steps = 0;
    for (let effect = effects.shift(); effect !== undefined; effect = effects.shift()) {
      steps++;
      stepTransfer(state, { type: "Arrived", agent: effect.to, object: effect.object }, effects);
    }
    expect(steps).toBe(4_000);
    checkTransferInvariants(state);
  });
});
