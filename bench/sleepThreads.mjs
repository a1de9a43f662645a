// Threads that do nothing but draw a number and sleep: as fast as anything can be on this machine at this moment.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

/** Words of the memory that the threads share. */
const word = { gate: 0, arrived: 1, next: 2 };

/** Seconds and processor microseconds that `slots` bare threads take for `chunks` sleeps; starting them not counted. */
export async function runBare(slots, chunks, sleepMs) {
  const words = new Int32Array(new SharedArrayBuffer(12));
  const threads = Array.from(
    { length: slots },
    () => new Worker(new URL(import.meta.url), { workerData: { words, chunks, sleepMs } }),
  );
  const ended = threads.map((thread) => new Promise((resolve) => thread.once("message", resolve)));
  while (Atomics.load(words, word.arrived) < slots) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const measured = await timed(async () => {
    Atomics.store(words, word.gate, 1);
    Atomics.notify(words, word.gate);
    await Promise.all(ended);
  });
  await Promise.all(threads.map((thread) => thread.terminate()));
  return measured;
}

/** Wall seconds and this process's processor microseconds while `run` runs. */
export async function timed(run) {
  const before = process.cpuUsage();
  const begunMs = performance.now();
  await run();
  const seconds = (performance.now() - begunMs) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuUs: user + system };
}

if (!isMainThread) {
  const { words, chunks, sleepMs } = workerData;
  const own = new Int32Array(new SharedArrayBuffer(4));
  Atomics.add(words, word.arrived, 1);
  Atomics.wait(words, word.gate, 0);
  while (Atomics.add(words, word.next, 1) < chunks) Atomics.wait(own, 0, 0, sleepMs);
  parentPort.postMessage("done");
}
