/** The parts that the simulated world is made of. */
import { describe, expect, it } from "vitest";
import { Board } from "./board.ts";
import { Clock } from "./clock.ts";
import { Disk } from "./disk.ts";
import { FairnessBook } from "./fairness.ts";
import { Journal } from "./journal.ts";
import { type Dialler, type Endpoint, Network } from "./network.ts";
import { JobPlan } from "./plan.ts";
import { Process } from "./process.ts";
import { Random } from "./random.ts";
import { ThreadJob } from "./threads.ts";

describe("chance", () => {
  it("is the same from the same seed, and differs between purposes", () => {
    const draw = (seed: number, purpose: string) => {
      const random = new Random(seed, purpose);
      return Array.from({ length: 5 }, () => random.word());
    };
    expect(draw(1, "a")).toEqual(draw(1, "a"));
    expect(draw(1, "a")).not.toEqual(draw(1, "b"));
    expect(draw(1, "a")).not.toEqual(draw(2, "a"));
  });

  it("is even, and keeps to its bounds", () => {
    const random = new Random(3, "even");
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4_000; i++) counts[random.whole(0, 3)]++;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    for (let i = 0; i < 1_000; i++) {
      const sized = random.sized(3, 700);
      expect(sized >= 3 && sized <= 700).toBe(true);
    }
  });
});

describe("the clock", () => {
  it("keeps appointments in the order of time, and of their making", () => {
    const clock = new Clock();
    const random = new Random(1, "clock");
    const kept: [number, number][] = [];
    const sleeper = { wake: (code: number) => kept.push([clock.nowMs, code]) };
    for (let i = 0; i < 5_000; i++) clock.at(random.whole(0, 300), sleeper, i);
    while (clock.next()) {}
    expect(kept).toHaveLength(5_000);
    const sorted = [...kept].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    expect(kept).toEqual(sorted);
    expect(() => clock.at(1, sleeper, 0)).toThrow("already");
  });
});

class Node extends Process implements Dialler {
  readonly heard: unknown[] = [];
  breaks = 0;
  endpoint: Endpoint | undefined;
  run(): void {}
  established(endpoint: Endpoint): void {
    this.endpoint = endpoint;
  }
  received(message: unknown): void {
    this.heard.push(message);
  }
  broken(): void {
    this.breaks++;
  }
}

/** A connection between two processes on machines of their own. */
function connected() {
  const clock = new Clock();
  const limits = { latencyMs: { low: 1, high: 20 }, dialTimeoutMs: 1_000 };
  const network = new Network(clock, new Random(1, "network"), limits);
  const [near, far] = [new Node("near", 1, clock), new Node("far", 0, clock)];
  network.listen({ process: far, accepted: (endpoint) => Object.assign(far, { endpoint }) });
  network.dial(near, near);
  const pass = (ms: number) => {
    const untilMs = clock.nowMs + ms;
    clock.at(untilMs, { wake: () => {} }, 0);
    while (clock.nowMs < untilMs) clock.next();
  };
  pass(100);
  return { network, near, far, pass };
}

describe("the network", () => {
  const numbers = Array.from({ length: 100 }, (_, i) => i);

  it("brings messages in order, late, and after stalls and partitions", () => {
    const { network, near, far, pass } = connected();
    for (const i of numbers.slice(0, 50)) near.endpoint!.send(i);
    network.stall(far.endpoint!, 500);
    pass(400);
    expect(far.heard).toEqual([]);
    pass(200);
    expect(far.heard).toEqual(numbers.slice(0, 50));
    network.separate([1]);
    for (const i of numbers.slice(50)) near.endpoint!.send(i);
    pass(5_000);
    expect(far.heard).toHaveLength(50);
    network.join([1]);
    pass(100);
    expect(far.heard).toEqual(numbers);
  });

  it("holds what comes to a process that stands still", () => {
    const { near, far, pass } = connected();
    far.pause();
    for (const i of numbers) near.endpoint!.send(i);
    pass(1_000);
    expect(far.heard).toEqual([]);
    far.resume();
    expect(far.heard).toEqual(numbers);
  });

  it("tells of the end of a process after what it had sent", () => {
    const { near, far, pass } = connected();
    near.endpoint!.send("last words");
    near.kill();
    pass(100);
    expect([far.heard, far.breaks]).toEqual([["last words"], 1]);
  });

  it("breaks a connection for both, for one, and for nobody to know", () => {
    for (const [nearLearns, farLearns] of [
      [true, true],
      [true, false],
      [false, false],
    ]) {
      const { network, near, far, pass } = connected();
      network.cut(near.endpoint!, nearLearns, farLearns);
      near.endpoint!.send("into the void");
      pass(1_000);
      expect([near.breaks, far.breaks]).toEqual([Number(nearLearns), Number(farLearns)]);
      expect(far.heard).toEqual([]);
    }
  });
});

describe("the disk and the journal on it", () => {
  it("keep what was synced, through any crash, and nothing that is not true", () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed, "disk");
      const disk = new Disk(random, 1);
      const { journal } = Journal.open(disk);
      journal.submitted("a", []);
      for (let start = 0; start < 50; start += 10) {
        journal.settled("a", { start, end: start + 10 });
        journal.write();
        if (start < 30) journal.synced();
      }
      disk.crash();
      const settled = Journal.open(disk).jobs.get("a")!;
      expect(settled.covers({ start: 0, end: 30 })).toBe(true);
      expect(settled.size % 10).toBe(0);
      expect(settled.ranges()).toEqual([{ start: 0, end: settled.size }]);
      expect(settled.size).toBeLessThanOrEqual(50);
    }
  });

  it("go on without a journal when the disk is full, and believe what it held", () => {
    const disk = new Disk(new Random(1, "disk"), 1);
    const { journal } = Journal.open(disk);
    journal.submitted("a", []);
    journal.write();
    journal.synced();
    disk.limitBytes = disk.sizeBytes + 5;
    journal.settled("a", { start: 0, end: 10 });
    journal.write();
    journal.synced();
    expect(journal.hasFailed).toBe(true);
    expect(Journal.open(disk).jobs.get("a")?.size).toBe(0);
  });
});

describe("a board", () => {
  it("gives chunks in order, and back what nobody has drawn", () => {
    const board = new Board();
    board.add({ start: 5, end: 8 });
    expect([board.draw(), board.size]).toEqual([5, 2]);
    board.add({ start: 0, end: 1 });
    expect(board.withdraw({ start: 0, end: 7 })).toEqual([
      { start: 0, end: 1 },
      { start: 6, end: 7 },
    ]);
    expect([board.draw(), board.draw()]).toEqual([7, -1]);
  });
});

describe("the book of shares", () => {
  it("tells jobs that share alike from those that do not", () => {
    const jobs = [0, 1].map((index) => {
      const request = { job: `m${index}`, chunkCount: 1_000 };
      const sizes = { bytesPerChunk: 1, windowBytes: 1, fates: new Map() };
      const plan = new JobPlan({ index, request, meanChunkMs: 10, spread: 1.5, ...sizes });
      const job = new ThreadJob(plan, 2, 0, 1);
      job.board.add({ start: 0, end: 1_000 });
      return job;
    });
    const book = new FairnessBook();
    for (let i = 0; i < 1_000; i++) book.spent("h", jobs[i % 2], jobs, 10);
    expect([book.unfair(), book.pairsJudged]).toEqual([[], 1]);
    for (let i = 0; i < 1_400; i++) book.spent("h", jobs[i < 900 ? 0 : 1], jobs, 10);
    expect(book.unfair()).toEqual(["m0 and m1 had 64 % and 36 % of the slot time of h"]);
  });
});
