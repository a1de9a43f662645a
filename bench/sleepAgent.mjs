// A worker of the sleep bench: `runtime join` runs its own kernels only, this one runs those of benches.
//   node bench/sleepAgent.mjs JOIN_STRING [SLOTS]        It ends when its stdin does.
import { hostname } from "node:os";
import { SlabPool } from "@fascicle/object-store";
import { dial, parseJoinString } from "@fascicle/transport";
import { Agent, physicalCores, usableMemoryBytes } from "@fascicle/worker";

const [joinText, slots = "1"] = process.argv.slice(2);
const memory = new SlabPool(1 << 26);
const agent = new Agent({
  host: {
    hostName: hostname(),
    pid: process.pid,
    slots: Number(slots),
    machine: hostname(),
    physicalCores: physicalCores(),
    memoryBytes: usableMemoryBytes(),
    objectMemoryBytes: memory.limitBytes,
    version: "bench",
  },
  memory,
  kernelModules: new Map([
    ["bench/sleepKernel", new URL("./sleepKernel.mjs", import.meta.url).href],
    ["bench/chunkKernel", new URL("./chunkKernel.mjs", import.meta.url).href],
  ]),
  log: () => {},
});
process.stdin.on("end", () => process.exit(0)).resume();
const session = await dial(parseJoinString(joinText), "agent");
const ended = agent.attach(session, `${hostname()}-${process.pid}`);
process.stdout.write("joined\n");
const reason = await ended;
process.stderr.write(`bench worker ${process.pid}: ${reason}\n`);
process.exit(0);
