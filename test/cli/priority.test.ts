/** Two fits on one slot of a head: the one of higher priority goes first, however late it came. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { bigVolume } from "../support/bigFit.ts";
import { Home } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => {
  expect(await home.close()).toEqual([]);
});

it("a fit with --priority 1 is complete while one that began before it is not", async () => {
  const data = await bigVolume(home);
  const { join } = await home.head("--cpus", "1");
  const start = (out: string, ...more: string[]) =>
    home.start(["fit", "csd", ...data, "--out", home.file(out), "--join", join, ...more]);
  const low = start("low");
  await low.saw(/fitting csd: [1-9]/);
  expect((await home.run(["status"])).stdout).not.toMatch(/PRIORITY/);
  const high = start("high", "--priority", "1");
  await high.saw(/fitting csd/);
  const { stdout } = await home.run(["status"]);
  expect(stdout).toMatch(/TIME +PRIORITY +STATE/);
  expect(stdout.match(/csd .* s +(0|1) +running/g)).toHaveLength(2);
  const first = await Promise.race([
    low.ended.then(() => "low"),
    high.ended.then(({ code }) => `high, ${code}`),
  ]);
  expect(first).toBe("high, 0");
  expect(await low.ended).toMatchObject({ code: 0 });
}, 180_000);
