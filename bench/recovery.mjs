// What a death costs: a head, four workers of one slot and a driver as real processes, with chunks that only sleep.
//   node bench/recovery.mjs [--rounds 3] [--chunks 600] [--ms 50]                            (after npm run build)
import { fork, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, connect as openSocket } from "node:net";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, fitChunked } from "@fascicle/runtime";
import { formatJoinString, parseJoinString } from "@fascicle/transport";
import { checkSlept, kernelName, sleepModel } from "./sleepKernel.mjs";
import { load, machineLine, median, numbersFrom } from "./sleepReport.mjs";

const { rounds, chunks, ms: sleepMs } = numbersFrom({ rounds: 3, chunks: 600, ms: 50 });
const workerCount = 4;
const launcher = fileURLToPath(new URL("../packages/runtime/bin/runtime.cjs", import.meta.url));
const workerScript = fileURLToPath(new URL("recoveryWorker.mjs", import.meta.url));
const home = mkdtempSync(joinPath(tmpdir(), "fascicle-recovery-"));
const environment = { ...process.env, XDG_STATE_HOME: home };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Every process that was started here: none may outlive the bench. */
const children = new Set();

function keep(child) {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** A head whose log lines are kept with their time. */
async function startHead(...words) {
  const child = keep(
    spawn(process.execPath, [launcher, "start", "--head", "--cpus", "0", ...words], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
  const lines = [];
  const note = (data) => {
    const atMs = performance.now();
    for (const text of data.toString().split("\n")) lines.push({ atMs, text });
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const head = { child, saw: (pattern) => sawLine(lines, pattern) };
  const up = await head.saw(/^join: /);
  return { ...head, join: up.text.slice("join: ".length), upMs: up.atMs };
}

/** The first log line that matches, when it comes. */
async function sawLine(lines, pattern) {
  const untilMs = performance.now() + 60_000;
  for (;;) {
    const found = lines.find(({ text }) => pattern.test(text));
    if (found !== undefined) return found;
    if (performance.now() > untilMs) throw new Error(`the head never logged ${pattern}`);
    await sleep(5);
  }
}

async function startWorker(join) {
  const child = keep(fork(workerScript, { env: { ...environment, RUNTIME_JOIN: join } }));
  await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`a worker ended with ${code}`)));
  });
  return child;
}

async function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once("exit", resolve));
}

/** A head and its workers, for as long as `use` takes. */
async function withCluster(use) {
  const head = await startHead("--port", "0");
  const workers = await Promise.all(
    Array.from({ length: workerCount }, () => startWorker(head.join)),
  );
  const cluster = await connect(head.join);
  // Connected, threads started, kernels loaded.
  await fitChunked(sleepModel(workerCount * 8, 5, kernelName), workerCount * 8, { cluster });
  try {
    return await use({ head, workers, cluster });
  } finally {
    await cluster.close();
    for (const child of [...children]) child.kill("SIGCONT");
    for (const child of [...children]) child.kill("SIGTERM");
    await Promise.all([...children].map(ended));
  }
}

/** Runs the fit; `onProgress` hears of its voxels, of which each is a chunk. */
async function runFit(cluster, onProgress) {
  const begunMs = performance.now();
  const result = await fitChunked(sleepModel(chunks, sleepMs, kernelName), chunks, {
    cluster,
    onProgress: ({ voxelsDone }) => onProgress?.(voxelsDone),
    waitSeconds: 60,
  });
  const seconds = (performance.now() - begunMs) / 1000;
  checkSlept(result);
  return { seconds, attempts: result.receipt.attempts };
}

/** Resolves with the time and the count when this many chunks are done. */
function doneOf(count) {
  let tell = () => {};
  const reached = new Promise((resolve) => {
    tell = resolve;
  });
  const onProgress = (done) => {
    if (done >= count) tell({ atMs: performance.now(), done });
  };
  return { reached, onProgress };
}

/** (a) One of four workers is killed in the middle: what is lost beyond the work of its slot. */
async function killedWorker() {
  return withCluster(async ({ workers, cluster }) => {
    const half = doneOf(chunks / 2);
    const begunMs = performance.now();
    const running = runFit(cluster, half.onProgress);
    const { atMs, done } = await half.reached;
    workers[0].kill("SIGKILL");
    const { seconds, attempts } = await running;
    // Three slots do what is left, each as fast as before.
    const before = (atMs - begunMs) / 1000;
    const ideal = before + (before * (chunks - done) * workerCount) / (workerCount - 1) / done;
    return { seconds, lost: seconds - ideal, ranges: (attempts.lost * sleepMs) / 1000 };
  });
}

/** (b) How long until the head's log says that a worker is gone that `befall` something; `pattern` is that line. */
async function noticed(befall, pattern) {
  return withCluster(async ({ head, workers, cluster }) => {
    const some = doneOf(workerCount * 8);
    const running = runFit(cluster, some.onProgress);
    await some.reached;
    const beganMs = performance.now();
    befall(workers[0]);
    const { atMs } = await head.saw(pattern);
    await running;
    return (atMs - beganMs) / 1000;
  });
}

/** (b) The same for a connection that stays open and moves nothing. */
async function stalledConnection() {
  return withCluster(async ({ head, cluster }) => {
    const { join } = head;
    const sockets = [];
    let isStalled = false;
    const proxy = createServer((peer) => {
      const upstream = openSocket(parseJoinString(join).port, "127.0.0.1");
      sockets.push(peer, upstream);
      for (const socket of [peer, upstream]) socket.on("error", () => {});
      peer.on("data", (data) => upstream.write(data));
      upstream.on("data", (data) => peer.write(data));
      if (isStalled) for (const socket of [peer, upstream]) socket.pause();
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address();
    const worker = await startWorker(formatJoinString({ ...parseJoinString(join), port }));
    const some = doneOf(workerCount * 8);
    const running = runFit(cluster, some.onProgress);
    await some.reached;
    const beganMs = performance.now();
    isStalled = true;
    for (const socket of sockets) socket.pause();
    const { atMs } = await head.saw(/ left: nothing was heard/);
    await running;
    worker.kill("SIGKILL");
    for (const socket of sockets) socket.destroy();
    proxy.close();
    return (atMs - beganMs) / 1000;
  });
}

/** (c) The head is killed and started again: from its being up to the next chunks done. */
async function restartedHead() {
  return withCluster(async ({ head, cluster }) => {
    const half = doneOf(chunks / 2);
    let upMs = Number.POSITIVE_INFINITY;
    let doneBefore = 0;
    let tell = () => {};
    const flowing = new Promise((resolve) => {
      tell = resolve;
    });
    const running = runFit(cluster, (done) => {
      half.onProgress(done);
      if (performance.now() < upMs) doneBefore = done;
      else if (done > doneBefore) tell(performance.now());
    });
    await half.reached;
    head.child.kill("SIGKILL");
    await ended(head.child);
    const again = await startHead();
    upMs = again.upMs;
    const flowsMs = await flowing;
    const { attempts } = await running;
    return { seconds: (flowsMs - upMs) / 1000, again: attempts.lost };
  });
}

async function repeated(measure) {
  const results = [];
  for (let round = 0; round < rounds; round++) results.push(await measure());
  return results;
}

const figures = (values) =>
  `${median(values).toFixed(2)} s (${values.map((value) => value.toFixed(2)).join(", ")})`;

try {
  console.log(`${machineLine()}; ${chunks} chunks of ${sleepMs} ms on ${workerCount} workers`);
  const killed = await repeated(killedWorker);
  const each = killed.map(
    ({ seconds, lost, ranges }) =>
      `${lost.toFixed(2)} s of ${seconds.toFixed(2)} s, its running ranges ${ranges.toFixed(2)} s`,
  );
  console.log(`lost to one killed worker: ${each.join("; ")}; load ${load()}`);
  const dead = await repeated(() =>
    noticed((worker) => worker.kill("SIGKILL"), / left: its process died/),
  );
  console.log(`a dead process is noticed after ${figures(dead)}; load ${load()}`);
  const silent = await repeated(() =>
    noticed((worker) => worker.kill("SIGSTOP"), / left: nothing was heard/),
  );
  console.log(`a stopped process is noticed after ${figures(silent)}; load ${load()}`);
  const stalled = await repeated(stalledConnection);
  console.log(`a stalled connection is noticed after ${figures(stalled)}; load ${load()}`);
  const restarted = await repeated(restartedHead);
  console.log(
    `after a head's restart work flows again in ${figures(restarted.map(({ seconds }) => seconds))}, chunks run again: ${restarted.map(({ again }) => again).join(", ")}; load ${load()}`,
  );
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(home, { recursive: true, force: true });
}
