/** A worker of one slot in this process, which runs the tests' own kernels. */
import { SlabPool } from "@fascicle/object-store";
import { dial, parseJoinString } from "@fascicle/transport";
import { Agent } from "@fascicle/worker";
import { testModel } from "./models.ts";

const { module } = testModel({ voxels: 1 }).kernel;

/** Joins the head; whoever asked for it stops it. */
export async function joinHere(
  join: string,
  memory = new SlabPool(64 << 20),
  name = "here",
): Promise<Agent> {
  const host = {
    ...{ hostName: "here", pid: process.pid, slots: 1, machine: "here", physicalCores: 1 },
    ...{ memoryBytes: 1 << 30, objectMemoryBytes: memory.limitBytes, version: "test" },
  };
  const to = parseJoinString(join);
  const kernelModules = new Map([[module, module]]);
  const agent = new Agent({ host, memory, kernelModules, token: to.token, log() {} });
  void agent.attach(await dial(to, "agent"), name);
  return agent;
}
