/** `runtime status`. */
import { counted } from "@fascicle/core";
import type { ClusterStatus, HostStatus } from "@fascicle/transport";
import type { Command } from "commander";
import { connect } from "../client/connect.ts";
import { type KnownLedger, knownLedgers } from "../ledger/ledgerRegister.ts";
import { readJoinString } from "./joinString.ts";
import { formatBytes, formatSeconds, grouped } from "./parse.ts";
import { table } from "./table.ts";

interface StatusOptions {
  join?: string;
  joinFile?: string;
  json?: boolean;
}

export function addStatusCommand(program: Command): void {
  program
    .command("status")
    .description("show hosts, slots, running and queued work, object memory and spill of a head")
    .option("--join <JOIN_STRING>", "the head (default: RUNTIME_JOIN, else your head on this host)")
    .option("--join-file <FILE>", "read the join string from a file")
    .option("--json", "print one JSON object")
    .action(async (options: StatusOptions) => {
      const cluster = await connect(readJoinString(options.join, options.joinFile));
      try {
        const status = await cluster.status();
        const ledgers = (await knownLedgers()).filter(({ isAlive }) => !isAlive);
        process.stdout.write(
          options.json
            ? `${JSON.stringify({ ...status, ledgers })}\n`
            : `${renderStatus(status)}${renderLedgers(ledgers)}`,
        );
      } finally {
        await cluster.close();
      }
    });
}

/** The text that people read. */
export function renderStatus(status: ClusterStatus): string {
  const { head, hosts, slots, jobs, objects } = status;
  const isRanked = jobs.some(({ priority }) => priority !== 0);
  const lines = [
    `head    ${head.hostName}:${head.port}, up ${formatSeconds(head.uptimeSeconds)}, version ${head.version}`,
    `slots   ${slots.busy} of ${slots.total} busy`,
    `memory  ${ofLimit(objects.bytes, objects.limitBytes)} in ${counted(objects.count, "object")}, ${formatBytes(status.spillBytes)} spilled`,
    "",
    ...table(
      ["HOST", "PID", "SLOTS", "BUSY", "OBJECTS", "SPILLED", "STATE"],
      hosts.map((host) => [
        host.hostName,
        String(host.pid),
        String(host.slots),
        String(host.busySlots),
        ofLimit(host.objectBytes, host.objectLimitBytes),
        spilledAt(host),
        host.state,
      ]),
    ),
    ...renderWaits(hosts),
    "",
    ...table(
      [
        ...["FIT", "MODEL", "VOXELS", "DONE", "CHUNKS LEFT", "TIME"],
        ...(isRanked ? ["PRIORITY"] : []),
        "STATE",
      ],
      jobs.map((job) => [
        job.job,
        job.model,
        grouped(job.voxels.total),
        `${Math.floor((100 * job.voxels.done) / job.voxels.total)} %`,
        grouped(job.chunks.total - job.chunks.settled),
        formatSeconds(job.seconds),
        ...(isRanked ? [String(job.priority)] : []),
        job.state,
      ]),
    ),
  ];
  for (const { job, waitsForDisk } of jobs) {
    if (waitsForDisk !== undefined) lines.push(`waits, fit ${job}: ${waitsForDisk}`);
  }
  if (hosts.length === 0) lines.push("no worker has joined: `runtime join` on a host starts one");
  if (jobs.length === 0) lines.push("no fit is running");
  return `${lines.join("\n")}\n`;
}

/** `7.5 MiB of 4.0 GiB`. */
export const ofLimit = (bytes: number, limitBytes: number) =>
  `${formatBytes(bytes)} of ${formatBytes(limitBytes)}`;

/** What a worker has on disk, of what may be there. */
export function spilledAt({ spill }: Pick<HostStatus, "spill">): string {
  return spill === undefined ? "-" : ofLimit(spill.bytes, spill.limitBytes);
}

/** What waits for memory or for room on disk, and where; nothing where nothing does. */
export function renderWaits(
  hosts: readonly Pick<HostStatus, "hostName" | "pid" | "waitsFor">[],
): string[] {
  return hosts.flatMap(({ hostName, pid, waitsFor }) =>
    waitsFor.map((sentence) => `waits on ${hostName} (pid ${pid}): ${sentence}`),
  );
}

/** What fits that died have left on this host for --resume; nothing where there is none. */
export function renderLedgers(ledgers: readonly KnownLedger[]): string {
  if (ledgers.length === 0) return "";
  const bytes = ledgers.reduce((sum, ledger) => sum + ledger.bytes, 0);
  const left = ledgers.length === 1 ? "1 ledger" : `${ledgers.length} ledgers`;
  const title = `${left} of fits that died here, ${formatBytes(bytes)}: --resume continues them, \`runtime gc --all\` removes them`;
  return `\n${[title, ...ledgers.map(({ path }) => `  ${path}`)].join("\n")}\n`;
}
