// The processes of the sleep bench: a real head, and workers of one slot each, which end with it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const fileOf = (path) => fileURLToPath(new URL(path, import.meta.url));
const ticksPerSecond = 100;
const startedAtOnce = 4;

/** A head without a worker of its own: `joinText`, its `pid`, and `stop()`. */
export async function startHead() {
  const home = mkdtempSync(join(tmpdir(), "fascicle-bench-"));
  const runtime = fileOf("../packages/runtime/bin/runtime.cjs");
  const words = ["start", "--head", "--port", "0", "--cpus", "0"];
  const child = spawn(process.execPath, [...nodeFlags(), runtime, ...words], {
    env: { ...process.env, XDG_STATE_HOME: home },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(child, "exit");
  process.once("exit", () => child.kill());
  const [line] = await Promise.race([
    once(createInterface(child.stdout), "line"),
    ended.then(([code]) => {
      throw new Error(`the head did not start (exit code ${code})`);
    }),
  ]);
  const stop = async () => {
    child.kill();
    await ended;
    rmSync(home, { recursive: true, force: true });
  };
  return { joinText: line.replace("join: ", ""), pid: child.pid, stop };
}

/** More workers of one slot each, which have joined; a few at a time, so that none waits too long for its turn. */
export async function startAgents(joinText, count) {
  const agents = [];
  while (agents.length < count) {
    const several = Math.min(startedAtOnce, count - agents.length);
    agents.push(
      ...(await Promise.all(Array.from({ length: several }, () => startAgent(joinText)))),
    );
  }
  return agents;
}

async function startAgent(joinText) {
  const child = spawn(process.execPath, [...nodeFlags(), fileOf("./sleepAgent.mjs"), joinText], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  await Promise.race([
    once(createInterface(child.stdout), "line"),
    ended.then(([code]) => {
      throw new Error(`a worker did not join (exit code ${code})`);
    }),
  ]);
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  return { pid: child.pid, stop };
}

/** Processor microseconds that a process has taken so far; 0 where the system does not tell. */
export function cpuUsOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1e6) / ticksPerSecond;
  } catch {
    return 0;
  }
}

/** Flags for profiles of head and workers: SLEEP_NODE_FLAGS="--cpu-prof --cpu-prof-dir=DIR". */
const nodeFlags = () => process.env.SLEEP_NODE_FLAGS?.split(" ") ?? [];
