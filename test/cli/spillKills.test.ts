/** Processes that are killed while objects of theirs are on disk: what is left goes, and fits that go on are right. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bigVolume, hashes } from "../support/bigFit.ts";
import { Home } from "../support/cli.ts";
import {
  everythingIn,
  little,
  spillDirectory,
  spillFiles,
  until,
  untilSpilled,
} from "../support/spill.ts";

const data = new Home();
let words: string[];
let expected: Record<string, string>;
let home: Home;
let spill: string;
let out: string;

beforeAll(async () => {
  words = ["fit", "csd", ...(await bigVolume(data)), "--chunks", "400"];
  expect(await data.run([...words, "--out", data.file("out")])).toMatchObject({ code: 0 });
  expected = hashes(data.file("out"));
}, 180_000);
afterAll(async () => {
  expect(await data.close()).toEqual([]);
});
beforeEach(() => {
  home = new Home();
  spill = spillDirectory(home);
  out = home.file("out");
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

/** Also directories: nobody wants them either. */
const left = () => everythingIn(home.scratch, home.file("state"), out, spill);
const fitHere = (...more: string[]) => home.start([...words, "--out", out, ...more]);

/** After `runtime gc --all` there is nothing at all. */
async function gcLeavesNothing(): Promise<void> {
  const gc = await home.run(["gc", "--all"]);
  expect(gc).toMatchObject({ code: 0, stderr: "" });
  expect(gc.stdout).not.toMatch(/^kept /m);
  expect(left()).toEqual([]);
}

async function killed(running: ReturnType<typeof fitHere>): Promise<void> {
  running.signal("SIGKILL");
  await running.ended;
}

describe("an embedded fit that is killed while it spills", () => {
  for (const name of ["signals", "results"]) {
    it(`leaves ${name} that gc removes`, async () => {
      const fit = fitHere(...little(spill));
      const file = await untilSpilled(fit, spill, name);
      await killed(fit);
      expect(everythingIn(spill)).toContain(file);
      await gcLeavesNothing();
    }, 120_000);
  }

  it("leaves nothing once the next fit has run, which goes on with what was done", async () => {
    const fit = fitHere(...little(spill));
    await untilSpilled(fit, spill, "results");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await killed(fit);
    const again = await fitHere(...little(spill), "--resume").ended;
    expect(again).toMatchObject({ code: 0 });
    expect(again.stderr).toMatch(/removed what dead processes left .*1 scratch folder/);
    expect(hashes(out)).toEqual(expected);
    expect(everythingIn(home.scratch, home.file("state"), spill)).toEqual([]);
  }, 120_000);

  it("stops at Ctrl-C and leaves nothing", async () => {
    for (const name of ["signals", "results"]) {
      const fit = fitHere(...little(spill));
      await untilSpilled(fit, spill, name);
      fit.signal("SIGINT");
      expect(await fit.ended).toMatchObject({ code: 130 });
      expect(left()).toEqual([]);
    }
  }, 120_000);
});

describe("a cluster fit whose workers spill", () => {
  async function worker(join: string, directory: string) {
    const worker = home.start(["join", join, "--cpus", "1", ...little(directory)]);
    await worker.saw(/joined/);
    return worker;
  }

  it("goes on when a worker is killed, whose scratch goes with the next one", async () => {
    const { join } = await home.head("--cpus", "0");
    const spills = [spillDirectory(home, "spill/1"), spillDirectory(home, "spill/2")];
    const first = await worker(join, spills[0]);
    await worker(join, spills[1]);
    const fit = fitHere(...little(spill), "--join", join);
    await untilSpilled(first, spills[0]);
    await killed(first);
    expect(spillFiles(spills[0])).not.toEqual([]);
    await worker(join, spills[0]);
    expect(spillFiles(spills[0]).filter(({ path }) => isOf(path, first.child.pid))).toEqual([]);
    expect(await fit.ended).toMatchObject({ code: 0 });
    expect(hashes(out)).toEqual(expected);
    await until(() => spillFiles(spill).length === 0, "the fit's scratch goes");
  }, 120_000);

  it("goes on when the head is killed and started again", async () => {
    const { head, join } = await home.head("--cpus", "0");
    const workerSpill = spillDirectory(home, "spill/1");
    const only = await worker(join, workerSpill);
    const fit = fitHere(...little(spill), "--join", join);
    await untilSpilled(only, workerSpill);
    await killed(head);
    const [, port] = /:(\d+)\//.exec(join) ?? [];
    const next = home.start(["start", "--head", "--cpus", "0", "--port", port]);
    await next.saw(/join: /);
    expect(await fit.ended).toMatchObject({ code: 0 });
    expect(hashes(out)).toEqual(expected);
    await until(() => spillFiles(spill).length === 0, "the fit's scratch goes");
  }, 120_000);

  it("leaves nothing when the head dies that has a worker of its own", async () => {
    const options = ["--cpus", "1", ...little(spill)];
    const { head, join } = await home.head(...options);
    const driverSpill = spillDirectory(home, "driver");
    const words = [...little(driverSpill), "--join", join, "--wait", "1"];
    const fit = fitHere(...words);
    await untilSpilled(head, spill);
    await killed(head);
    // The worker ends with it, in good order; the driver keeps what --resume can use, and nothing else.
    expect(await fit.ended).toMatchObject({ code: 1 });
    await until(() => everythingIn(spill).length === 0, "the worker ends");
    expect(everythingIn(driverSpill, home.scratch)).toEqual([]);
    await gcLeavesNothing();
  }, 120_000);

  it("ends on its workers when its driver is killed, whose scratch goes with the next fit", async () => {
    const { head, join } = await home.head("--cpus", "0");
    const workerSpill = spillDirectory(home, "spill/1");
    const driverSpill = spillDirectory(home, "spill/driver");
    const only = await worker(join, workerSpill);
    const fit = fitHere(...little(driverSpill), "--join", join);
    await untilSpilled(only, workerSpill);
    await untilSpilled(fit, driverSpill, "results");
    await killed(fit);
    await until(() => everythingIn(workerSpill).length === 0, "the worker lets go");
    expect(spillFiles(driverSpill)).not.toEqual([]);
    const again = await fitHere(...little(driverSpill), "--join", join, "--resume").ended;
    expect(again).toMatchObject({ code: 0 });
    expect(hashes(out)).toEqual(expected);
    await until(() => everythingIn(spill).length === 2, "only the two directories stay");
    expect([head, only].map(({ child }) => child.exitCode)).toEqual([null, null]);
  }, 120_000);

  it("leaves nothing that gc does not remove when all of them are killed at once", async () => {
    const { head, join } = await home.head("--cpus", "0");
    const only = await worker(join, spill);
    const fit = fitHere(...little(spill), "--join", join);
    await untilSpilled(only, spill, "results");
    await Promise.all([head, only, fit].map(killed));
    expect(everythingIn(spill)).not.toEqual([]);
    await gcLeavesNothing();
  }, 120_000);
});

const isOf = (path: string, pid: number | undefined) => path.includes(`fascicle-${pid}-`);
