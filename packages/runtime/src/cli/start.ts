/** `runtime start --head`. */
import { readFileSync, rmSync } from "node:fs";
import { isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { formatJoinString, newToken, parseJoinString, whyNotToken } from "@fascicle/transport";
import { usableCores } from "@fascicle/worker";
import { type Command, Option } from "commander";
import { missingFolder, UsageError, whyNotFile } from "../errors.ts";
import { registerProcess, writePrivateFile } from "../head/discovery.ts";
import { Head } from "../head/head.ts";
import { StateDirectory } from "../head/stateDirectory.ts";
import { HeadJournal } from "../ledger/headJournal.ts";
import { KeptChild, spawnWorker, startDetached } from "./children.ts";
import { sweepDeadScratch } from "./deadScratch.ts";
import { exitCodes, log } from "./exit.ts";
import { parseBytes, parseCount } from "./parse.ts";
import { firstSignal } from "./signals.ts";
import {
  checkSpillDir,
  memoryArguments,
  spillDirOption,
  spillLimitOption,
} from "./spillOptions.ts";

export const defaultPort = 6380;
export const defaultObjectMemory = "4GiB";
/** A worker has 10 s to finish what it has begun; its parent gives it a little more. */
const childEndTimeoutMs = 12_000;

interface StartOptions {
  head?: boolean;
  host: string;
  advertise?: string;
  port?: number;
  cpus?: number;
  objectMemory: number;
  spillDir?: string;
  spillLimit: number;
  stateDir?: string;
  joinFile?: string;
  detach?: boolean;
}

export function addStartCommand(program: Command): void {
  program
    .command("start")
    .description("start a head on this host, with a worker of its own")
    .option("--head", "start a head (required)")
    .option("--host <ADDRESS>", "address to listen on", "127.0.0.1")
    .option(
      "--advertise <HOST>",
      "name or address that workers reach it by (default: that of --host)",
    )
    .option(
      "--port <N>",
      `port; 0 takes a free one (default: ${defaultPort})`,
      parseCount(0, 65535),
    )
    .option(
      "--cpus <N>",
      "slots of its own worker; 0 for none (default: all cores)",
      parseCount(0, 4096),
    )
    .addOption(
      new Option("--object-memory <SIZE>", "shared memory of its own worker")
        .argParser(parseBytes)
        .default(parseBytes(defaultObjectMemory), defaultObjectMemory),
    )
    .addOption(spillDirOption())
    .addOption(spillLimitOption())
    .option(
      "--state-dir <DIR>",
      "where token and port are kept (default: in ~/.local/state/fascicle)",
    )
    .option("--join-file <FILE>", "write the join string there, readable by you alone")
    .option("--detach", "run in the background")
    .action(async (options: StartOptions) => {
      if (!options.head)
        throw new UsageError("`runtime start` starts a head: say `runtime start --head`.");
      await sweepDeadScratch();
      await checkSpillDir(options.spillDir);
      const stateDirectory = new StateDirectory(options.stateDir);
      process.exitCode = options.detach
        ? await detach(stateDirectory)
        : await serve(options, stateDirectory);
    });
}

async function serve(options: StartOptions, stateDirectory: StateDirectory): Promise<number> {
  const host = options.advertise ?? reachableAddress(options.host);
  joinStringFor(host, defaultPort, newToken());
  const last = await stateDirectory.open();
  try {
    const token = tokenFromEnvironment() ?? last?.token ?? newToken();
    const port = options.port ?? last?.port ?? defaultPort;
    const head = await startHead(options.host, port, token, stateDirectory);
    return await run(head, joinStringFor(host, head.port, token), options, stateDirectory);
  } finally {
    await stateDirectory.release();
  }
}

/** From the open door to the signal that ends it. */
async function run(
  head: Head,
  join: string,
  options: StartOptions,
  stateDirectory: StateDirectory,
): Promise<number> {
  const { token } = parseJoinString(join);
  const signal = firstSignal();
  const cleanUps: (() => void)[] = [];
  try {
    stateDirectory.save(token, head.port);
    let isDone = false;
    // A head that could not begin must not take with it the fits of the one before it.
    cleanUps.push(() => {
      if (isDone || head.jobs.size === 0) stateDirectory.close();
    });
    cleanUps.push(registerProcess("head", join));
    if (options.joinFile !== undefined) cleanUps.push(writeJoinFile(options.joinFile, join));
    warnIfOpen(options.host);
    process.stdout.write(`join: ${join}\n`);
    const worker = options.cpus === 0 ? undefined : ownWorker(options, head.port, token);
    const name = await signal;
    log.info(`${name}: the head stops`);
    await Promise.all([head.stop(), worker?.end(childEndTimeoutMs)]);
    isDone = true;
    return name === "SIGINT" ? exitCodes.interrupted : exitCodes.done;
  } finally {
    for (const cleanUp of cleanUps.reverse()) cleanUp();
  }
}

/** The join string, which others must be able to read: a host name that they cannot is the user's slip. */
function joinStringFor(host: string, port: number, token: string): string {
  const join = formatJoinString({ host, port, token });
  try {
    parseJoinString(join);
    return join;
  } catch {
    throw new UsageError(`"${host}" is no host name or address: correct --advertise.`);
  }
}

async function startHead(
  host: string,
  port: number,
  token: string,
  stateDirectory: StateDirectory,
): Promise<Head> {
  const hadJournal = stateDirectory.hasJournal;
  const { journal, jobs, notes } = await HeadJournal.open(stateDirectory.path, {
    nowMs: Date.now(),
    onError: (error) => log.warn(`${error.message} A restart of the head will not know of fits.`),
  });
  for (const sentence of notes) log.warn(sentence);
  try {
    const tell = (sentence: string) => log.info(sentence);
    return await Head.start({ host, port, token, journal, jobs, log: tell });
  } catch (error) {
    await journal.close();
    if (!hadJournal) stateDirectory.removeJournal();
    const { code } = error as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      EADDRINUSE:
        "another program listens there: choose another --port, or --port 0 for a free one",
      EADDRNOTAVAIL: "this host has no such address: correct --host",
      EACCES: "it needs more rights: choose a --port above 1023",
      ENOTFOUND: "that name is not known: correct --host",
    };
    throw new UsageError(
      `The head cannot listen on ${host}:${port}: ${reasons[code ?? ""] ?? (error as Error).message}.`,
    );
  }
}

/** The head's own worker is a process like any other, so that nothing it does can hurt the head. */
function ownWorker(options: StartOptions, port: number, token: string) {
  const host = isAnyAddress(options.host) ? "127.0.0.1" : options.host;
  const slots = String(options.cpus ?? usableCores());
  return new KeptChild({
    spawn: () =>
      spawnWorker({
        join: formatJoinString({ host, port, token }),
        arguments: ["--cpus", slots, ...memoryArguments(options)],
      }),
    // One that leaves in good order was asked to by somebody.
    isFinal: (code) => code === exitCodes.done,
    onDeath: (how) => log.warn(`the head's own worker died (${how})`),
  });
}

function tokenFromEnvironment(): string | undefined {
  const { RUNTIME_TOKEN, RUNTIME_TOKEN_FILE } = process.env;
  let token = RUNTIME_TOKEN;
  if (token === undefined && RUNTIME_TOKEN_FILE !== undefined) {
    try {
      token = readFileSync(RUNTIME_TOKEN_FILE, "utf8").trim();
    } catch (error) {
      throw new UsageError(
        `The token file ${RUNTIME_TOKEN_FILE} cannot be read (${whyNotFile(error)}): correct RUNTIME_TOKEN_FILE.`,
      );
    }
  }
  if (token === undefined) return undefined;
  const objection = whyNotToken(token);
  if (objection !== undefined) throw new UsageError(`RUNTIME_TOKEN is no good: ${objection}.`);
  return token;
}

function writeJoinFile(path: string, join: string): () => void {
  try {
    writePrivateFile(path, `${join}\n`);
  } catch (error) {
    throw new UsageError(
      `The join file ${path} cannot be written (${whyNotFile(error, missingFolder)}): name another with --join-file.`,
    );
  }
  return () => rmSync(path, { force: true });
}

const isAnyAddress = (host: string) => host === "0.0.0.0" || host === "::";
const isLoopback = (host: string) =>
  host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));

function warnIfOpen(host: string): void {
  if (isLoopback(host)) return;
  log.warn(
    `listening on ${host}: peers prove the token, but traffic is not encrypted yet, so use it on networks you trust only`,
  );
}

/** The address that goes into the join string where none is advertised. */
function reachableAddress(host: string): string {
  if (!isAnyAddress(host)) return host;
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === "IPv4" && !address.internal);
  return outside?.address ?? "127.0.0.1";
}

async function detach(stateDirectory: StateDirectory): Promise<number> {
  await stateDirectory.prepare();
  const started = await startDetached(stateDirectory.logFile);
  if ("exitCode" in started) {
    process.stderr.write(started.output);
    stateDirectory.discardIfEmpty();
    return started.exitCode;
  }
  process.stdout.write(`${started.line}\n`);
  log.info(
    `the head runs in the background (pid ${started.pid}, log ${stateDirectory.logFile}); end it with \`runtime stop\``,
  );
  return exitCodes.done;
}
