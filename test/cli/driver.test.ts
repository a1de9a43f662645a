/** Drivers that lose their head, and heads that lose their driver. */
import { readdirSync } from "node:fs";
import { defaultDetectorLimits } from "@fascicle/core";
import { dti, openDwi } from "@fascicle/models";
import { connect, fitChunked } from "@fascicle/runtime";
import { formatJoinString, parseJoinString } from "@fascicle/transport";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BadNetwork } from "../chaos/badNetwork.ts";
import { bigVolume } from "../support/bigFit.ts";
import { fixtures, Home, sleep } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

describe("a driver that loses its head before its fit begins", () => {
  it("finds it again when it does", async () => {
    const { join } = await home.head("--cpus", "1");
    const parts = parseJoinString(join);
    const network = await BadNetwork.start(parts.port);
    const cluster = await connect(formatJoinString({ ...parts, port: network.port }));
    try {
      network.refuse();
      // Longer than a broken connection has to come back.
      await sleep(defaultDetectorLimits.resumeGraceMs + 1_500);
      const stem = `${fixtures}data/real_64dir`;
      const files = { dwi: `${stem}.nii`, bval: `${stem}.bval`, bvec: `${stem}.bvec` };
      const model = dti(await openDwi(files));
      const fitting = fitChunked(model, 10, { cluster });
      await sleep(300);
      network.heal();
      expect((await fitting).receipt).toMatchObject({ engine: "cluster", chunks: 10 });
    } finally {
      await cluster.close();
      await network.close();
    }
  }, 60_000);
});

describe("a driver that is killed", () => {
  it("is not waited for where its death can be seen; --resume goes on with what it had", async () => {
    const data = await bigVolume(home);
    const { head, join } = await home.head("--cpus", "1");
    const out = home.file("out");
    const words = ["fit", "csd", ...data, "--out", out, "--join", join];
    const fit = home.start(words);
    await fit.saw(/fitting csd: [1-9]/);
    fit.signal("SIGKILL");
    const [line] = await head.saw(/fit \S+ ends, its driver is gone: .*/);
    expect(line).toMatch(/its process died/);
    expect(JSON.parse((await home.run(["status", "--json"])).stdout).jobs).toEqual([]);
    expect(await home.run([...words, "--resume"])).toMatchObject({ code: 0 });
    expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
  }, 120_000);
});
