// A worker of one slot for the recovery bench: it runs the kernel that sleeps, and looks for a lost head as `runtime
// join` does. The join string comes by RUNTIME_JOIN. It ends with its head, or with its parent.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { SlabPool } from "@fascicle/object-store";
import { dial, headStopsReason, parseJoinString } from "@fascicle/transport";
import { Agent } from "@fascicle/worker";
import { kernelName } from "./sleepKernel.mjs";

const memory = new SlabPool(64 << 20);
const host = {
  hostName: hostname(),
  pid: process.pid,
  slots: 1,
  machine: hostname(),
  physicalCores: 1,
  memoryBytes: 1 << 30,
  objectMemoryBytes: memory.limitBytes,
  version: "bench",
};
const kernelModules = new Map([[kernelName, new URL("sleepKernel.mjs", import.meta.url).href]]);
const agent = new Agent({ host, memory, kernelModules, log: () => {} });
const join = parseJoinString(process.env.RUNTIME_JOIN);

async function dialPatiently() {
  for (;;) {
    try {
      return await dial(join, "agent");
    } catch (error) {
      if (!error.isTransient) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

process.on("disconnect", () => process.exit(0));
for (let reason = ""; reason !== headStopsReason; ) {
  const ended = agent.attach(await dialPatiently(), randomUUID());
  process.send?.("joined");
  reason = await ended;
}
await agent.stop();
process.exit(0);
