/** Heads of one user in two containers of one boot, who share a state directory and are both process 1. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Home, Running } from "../support/cli.ts";

const launcher = fileURLToPath(new URL("../../packages/runtime/bin/runtime.cjs", import.meta.url));
const around = ["--pid", "--mount-proc", "--fork", "--kill-child=SIGKILL"];

let home: Home;
beforeEach(() => {
  home = new Home();
});
const started: { child: ChildProcess; running: Running }[] = [];
afterEach(async () => {
  for (const { child, running } of started.splice(0)) {
    child.kill("SIGKILL");
    await running.ended;
  }
  await home.close();
});

/** Runs a command as the first process of a table of its own. */
function inContainer(...words: string[]): Running {
  const child = spawn("unshare", [...around, process.execPath, launcher, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...home.environment },
  });
  const running = new Running(child);
  started.push({ child, running });
  return running;
}

it("is one's while that lives, and the other's seconds after it was killed", async ({ skip }) => {
  if (spawnSync("unshare", [...around, "true"]).status !== 0) skip("unshare is not permitted here");
  const state = home.file("mine");
  const again = ["start", "--head", "--cpus", "0", "--state-dir", state];
  const start = [...again, "--port", "0"];
  const first = inContainer(...start);
  const [, join] = await first.saw(/join: (\S+)/);
  const second = await inContainer(...start).ended;
  expect(second.code).toBe(2);
  expect(second.stderr).toMatch(/A head of yours runs already \(pid 1, port \d+\): stop it/);
  const outside = await home.run(start);
  expect(outside.stderr).toMatch(/A head of yours runs already/);
  expect(readdirSync(state).sort()).toEqual(["claim-1", "head.json", "journal"]);
  first.signal("SIGKILL");
  await first.ended;
  // Token and port are those of the first.
  expect((await inContainer(...again).saw(/join: (\S+)/))[1]).toBe(join);
  expect(JSON.parse(readFileSync(`${state}/claim-2`, "utf8")).pid).toBe(1);
}, 120_000);
