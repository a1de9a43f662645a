/** `runtime join`. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { counted } from "@fascicle/core";
import { kernelWarnings } from "@fascicle/models";
import { currentOwner, SlabPool } from "@fascicle/object-store";
import {
  ConnectError,
  dial,
  headStopsReason,
  type JoinString,
  parseJoinString,
} from "@fascicle/transport";
import {
  Agent,
  objectMemoryShare,
  physicalCores,
  usableCores,
  usableMemoryBytes,
} from "@fascicle/worker";
import { type Command, Option } from "commander";
import { v7 as newId } from "uuid";
import { kernelModules, volumeModules } from "../fit/kernelModules.ts";
import { Scratch } from "../fit/scratch.ts";
import { workerLogFile } from "../head/detachedLogs.ts";
import {
  makePrivateDirectory,
  registerProcess,
  removeIfEmpty,
  stateHome,
} from "../head/discovery.ts";
import { version } from "../version.ts";
import {
  isChild,
  isRestart,
  KeptChild,
  spawnWorker,
  startDetached,
  watchLifeline,
} from "./children.ts";
import { sweepDeadScratch } from "./deadScratch.ts";
import { exitCodes, log } from "./exit.ts";
import { readJoinString } from "./joinString.ts";
import { parseBytes, parseCount } from "./parse.ts";
import { firstSignal } from "./signals.ts";
import {
  checkSpillDir,
  memoryArguments,
  spillDirOption,
  spillLimitOption,
} from "./spillOptions.ts";
import { defaultObjectMemory } from "./start.ts";

/** A worker that is asked to leave has this long to finish what it has begun. */
const drainTimeoutMs = 10_000;
/** A worker that lost its head tries to find it again for this long. */
const reconnectLimitMs = 60_000;

interface JoinOptions {
  joinFile?: string;
  cpus?: number;
  agents: number;
  objectMemory: number;
  spillDir?: string;
  spillLimit: number;
  dataPort?: number;
  detach?: boolean;
}

export function addJoinCommand(program: Command): void {
  program
    .command("join")
    .description("work for a head until it stops")
    .argument(
      "[JOIN_STRING]",
      "printed by `runtime start --head` (default: RUNTIME_JOIN, else your head on this host)",
    )
    .option("--join-file <FILE>", "read the join string from a file")
    .option(
      "--cpus <N>",
      "slots of each worker process (default: all cores, shared among --agents)",
      parseCount(1, 4096),
    )
    .option("--agents <N>", "worker processes", parseCount(1, 256), 1)
    .addOption(
      new Option("--object-memory <SIZE>", "shared memory of each worker process")
        .argParser(parseBytes)
        .default(parseBytes(defaultObjectMemory), defaultObjectMemory),
    )
    .addOption(spillDirOption())
    .addOption(spillLimitOption())
    .option(
      "--data-port <N>",
      "port on which other workers get blocks of signals from this one, for firewalls; with --agents, this one and those that follow (default: the system chooses)",
      parseCount(1, 65_535),
    )
    .option("--detach", "run in the background")
    .action(async (text: string | undefined, options: JoinOptions) => {
      await checkSpillDir(options.spillDir);
      const joinText = readJoinString(text, options.joinFile);
      const join = parseJoinString(joinText);
      await sweepDeadScratch();
      if (options.detach) process.exitCode = await detach(joinText);
      else if (options.agents > 1) process.exitCode = await runAgents(joinText, options);
      else process.exitCode = await work(joinText, join, options);
    });
}

async function work(joinText: string, join: JoinString, options: JoinOptions): Promise<number> {
  const slots = options.cpus ?? usableCores();
  const memoryBytes = usableMemoryBytes();
  const memory = new SlabPool(Math.min(options.objectMemory, objectMemoryShare(memoryBytes)));
  const host = {
    hostName: hostname(),
    pid: process.pid,
    slots,
    machine: machineName(),
    physicalCores: physicalCores(),
    memoryBytes,
    objectMemoryBytes: memory.limitBytes,
    version,
  };
  const spill = new Scratch({
    spillDir: options.spillDir,
    spillLimitBytes: options.spillLimit,
    what: "runtime join",
    // Blocks of signals can come from their source again: they do not wait for room on disk.
    patienceMs: 0,
  });
  const spillUse = () => ({
    directory: resolve(spill.spillDir),
    bytes: spill.use.usedBytes,
    peakBytes: spill.use.peakBytes,
    limitBytes: spill.limitBytes,
    waitsSince: spill.waitsSince,
  });
  const agent = new Agent({
    ...{ host, memory, spill, spillUse, kernelModules, volumeModules, token: join.token },
    dataPort: options.dataPort,
    log: (sentence) => log.info(sentence),
  });
  // Each connection is another incarnation: words of an earlier one cannot be taken for it.
  const attach = async () => {
    const connection = await dial(join, "agent");
    await agent.listen(connection);
    return { ended: agent.attach(connection, newId()) };
  };
  const signal = firstSignal();
  // From here on: it may look for the head for a while, and its parent may die meanwhile.
  watchLifeline(() => process.exit(exitCodes.done));
  try {
    // What killed the one before it may have killed the head, whose other workers wait for it as well.
    const first = isRestart() ? await reconnect(attach, signal) : await attach();
    if (first === undefined) return exitCodes.interrupted;
    let { ended } = first;
    const leaveRegister = register(joinText);
    for (const warning of kernelWarnings()) log.warn(warning);
    log.info(`joined the head at ${join.host}:${join.port} with ${counted(slots, "slot")}`);
    if (!isChild()) {
      process.stdout.write(`joined ${join.host}:${join.port} with ${counted(slots, "slot")}\n`);
    }
    try {
      for (;;) {
        const end = await Promise.race([
          ended.then((reason) => ({ reason })),
          signal.then((name) => ({ name })),
        ]);
        if ("name" in end) {
          log.info(`${end.name}: finishes what is begun and leaves`);
          await agent.drain(drainTimeoutMs);
          return end.name === "SIGINT" ? exitCodes.interrupted : exitCodes.done;
        }
        if (end.reason === headStopsReason) {
          log.info("the head has stopped");
          return exitCodes.done;
        }
        log.warn(
          `lost the head (${end.reason}); trying for ${reconnectLimitMs / 1000} s to find it again`,
        );
        const again = await reconnect(attach, signal);
        if (again === undefined) return exitCodes.interrupted;
        ended = again.ended;
        log.info("found the head again");
      }
    } finally {
      leaveRegister();
    }
  } finally {
    await agent.stop();
    await spill.remove().catch((error: Error) => log.warn(error.message));
  }
}

/** Containers of one machine share a boot, whatever their host names. */
function machineName(): string {
  return currentOwner().bootId || hostname();
}

/** A worker without a home directory works all the same; only `runtime stop` will not find it. */
function register(joinText: string): () => void {
  // A child ends with its parent, which is in the register.
  if (isChild()) return () => {};
  try {
    return registerProcess("worker", joinText);
  } catch (error) {
    log.warn(`not in your register of processes (${(error as Error).message})`);
    return () => {};
  }
}

/** Tries until the head answers; undefined when a signal came first. Throws the last error when time is up. */
async function reconnect<T>(
  connect: () => Promise<T>,
  signal: Promise<NodeJS.Signals>,
): Promise<T | undefined> {
  const untilMs = performance.now() + reconnectLimitMs;
  let isAsked = false;
  void signal.then(() => {
    isAsked = true;
  });
  for (let waitMs = 100; !isAsked; waitMs = Math.min(2_000, waitMs * 2)) {
    try {
      return await connect();
    } catch (error) {
      const isTransient = error instanceof ConnectError && error.isTransient;
      if (!isTransient || performance.now() > untilMs) throw error;
    }
    await Promise.race([signal, new Promise((resolve) => setTimeout(resolve, waitMs))]);
  }
  return undefined;
}

/** The head has stopped or refused it, it cannot be found (a restarted one has tried for a while), or somebody asked the worker to leave: another would fare no better. */
const isFinal = (code: number) => finalCodes.has(code);
const finalCodes = new Set<number>([
  exitCodes.done,
  exitCodes.usage,
  exitCodes.noHead,
  exitCodes.interrupted,
]);

/** Several worker processes under this one, which ends when they have all ended. */
async function runAgents(joinText: string, options: JoinOptions): Promise<number> {
  const slots = options.cpus ?? Math.max(1, Math.floor(usableCores() / options.agents));
  const signal = firstSignal();
  const words = ["--cpus", String(slots), ...memoryArguments(options)];
  const spawner = (index: number) => {
    let isRestart = false;
    const port =
      options.dataPort === undefined ? [] : ["--data-port", String(options.dataPort + index)];
    return () => {
      const child = spawnWorker({ join: joinText, arguments: [...words, ...port], isRestart });
      isRestart = true;
      return child;
    };
  };
  const onDeath = (how: string) => log.warn(`a worker died (${how})`);
  const children = Array.from(
    { length: options.agents },
    (_, index) => new KeptChild({ spawn: spawner(index), isFinal, onDeath }),
  );
  const ended = Promise.all(children.map((child) => child.ended));
  const leaveRegister = register(joinText);
  watchLifeline(() => process.exit(exitCodes.done));
  const size = `${counted(options.agents, "worker")} of ${counted(slots, "slot")}`;
  log.info(size);
  if (!isChild()) process.stdout.write(`joined with ${size}\n`);
  try {
    const end = await Promise.race([signal, ended]);
    if (typeof end !== "string") return Math.max(...end);
    await Promise.all(children.map((child) => child.end(drainTimeoutMs + 2_000)));
    return end === "SIGINT" ? exitCodes.interrupted : exitCodes.done;
  } finally {
    leaveRegister();
  }
}

async function detach(joinText: string): Promise<number> {
  makePrivateDirectory(stateHome());
  const logFile = workerLogFile();
  // However it was found here, the background process finds the same head.
  process.env.RUNTIME_JOIN = joinText;
  const started = await startDetached(logFile);
  if ("exitCode" in started) {
    process.stderr.write(started.output);
    removeIfEmpty(stateHome());
    return started.exitCode;
  }
  process.stdout.write(`${started.line} (pid ${started.pid}, log ${logFile})\n`);
  return exitCodes.done;
}
