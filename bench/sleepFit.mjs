// A head and workers of one slot that are there and warm, and a driver that lets them sleep.
import { connect, fitChunked } from "@fascicle/runtime";
import { checkSlept, kernelName, sleepModel } from "./sleepKernel.mjs";
import { cpuUsOf, startAgents, startHead } from "./sleepProcesses.mjs";

export class SleepCluster {
  #head;
  #cluster;
  #agents = [];

  /** A head, and a driver in this process. */
  static async start() {
    const sleepers = new SleepCluster();
    sleepers.#head = await startHead();
    sleepers.#cluster = await connect(sleepers.#head.joinText);
    return sleepers;
  }

  /** Adds workers until there are `count`, and lets them all fit something. */
  async grow(count) {
    this.#agents.push(...(await startAgents(this.#head.joinText, count - this.#agents.length)));
    while ((await this.#cluster.status()).slots.total < count) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // The first fit starts threads and loads kernels, and may end before the last are there.
    for (let fit = 0; fit < 2; fit++) await this.seconds(count * 50, 20);
  }

  /** Seconds for a map of so many chunks. */
  async seconds(chunks, sleepMs) {
    const model = sleepModel(chunks, sleepMs, kernelName);
    const begunMs = performance.now();
    const fit = await fitChunked(model, chunks, { engine: "cluster", cluster: this.#cluster });
    const seconds = (performance.now() - begunMs) / 1000;
    checkSlept(fit);
    return seconds;
  }

  /** Processor microseconds so far, by who took them. */
  cpuUs() {
    const agents = this.#agents.reduce((sum, { pid }) => sum + cpuUsOf(pid), 0);
    return { head: cpuUsOf(this.#head.pid), driver: cpuUsOf(process.pid), agents };
  }

  async stop() {
    await this.#cluster.close();
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    await this.#head.stop();
  }
}
