/** `runtime objects`: what is where, whose, in memory or on disk. */
import type { ClusterStatus, HostStatus } from "@fascicle/transport";
import type { Command } from "commander";
import { connect } from "../client/connect.ts";
import { findJoinString } from "../head/discovery.ts";
import { type HereOnDisk, hereOnDisk, renderHere } from "./hereOnDisk.ts";
import { readJoinString } from "./joinString.ts";
import { formatBytes } from "./parse.ts";
import { ofLimit, renderWaits, spilledAt } from "./status.ts";
import { table } from "./table.ts";

interface ObjectsOptions {
  join?: string;
  joinFile?: string;
  json?: boolean;
}

const help = `
Of each fit on each worker: blocks (of signals, and places for results) in memory and their bytes, how much of that
is in use (the rest may leave memory), what is spilled to disk, what was restored from there so far, and how many
portions of its chunks are waiting for room. Below, each worker's budgets; what it has spilled counts a compressed
scan that it reads by itself as well. Then what is on the disk of this host: scratch of running processes, scratch
that dead ones left (\`runtime gc\` removes it), and ledgers that --resume can use. Without a join string, and
without a head of yours here, that alone is shown.`;

export function addObjectsCommand(program: Command): void {
  program
    .command("objects")
    .description("show what is in object memory and on disk: where, whose, and the budgets")
    .option("--join <JOIN_STRING>", "the head (default: RUNTIME_JOIN, else your head on this host)")
    .option("--join-file <FILE>", "read the join string from a file")
    .option("--json", "print one JSON object; sizes in bytes")
    .addHelpText("after", help)
    .action(async (options: ObjectsOptions) => {
      const listing = listingOf(await statusOf(options), await hereOnDisk());
      process.stdout.write(options.json ? `${JSON.stringify(listing)}\n` : renderListing(listing));
    });
}

/** Undefined where nobody named a head and none of this user's runs here: this host's disk is there all the same. */
async function statusOf({ join, joinFile }: ObjectsOptions): Promise<ClusterStatus | undefined> {
  if (join === undefined && joinFile === undefined && findJoinString() === undefined) {
    return undefined;
  }
  const cluster = await connect(readJoinString(join, joinFile));
  try {
    return await cluster.status();
  } finally {
    await cluster.close();
  }
}

type HostObjects = Pick<
  HostStatus,
  | "agent"
  | "hostName"
  | "pid"
  | "objects"
  | "objectBytes"
  | "heldBytes"
  | "objectLimitBytes"
  | "spillBytes"
  | "spillLimitBytes"
  | "spill"
  | "waitsFor"
> & { readonly fits: readonly (HostStatus["fits"][number] & { readonly model: string })[] };

/** What `runtime objects --json` prints; sizes in bytes. */
export interface ObjectsListing {
  /** Null where none was found. */
  readonly head: ClusterStatus["head"] | null;
  readonly hosts: readonly HostObjects[];
  /** Of all workers. */
  readonly total: {
    readonly objects: number;
    readonly objectBytes: number;
    readonly objectLimitBytes: number;
    readonly spillBytes: number;
  };
  /** On the disk of the host where it was asked. */
  readonly here: HereOnDisk;
}

export function listingOf(status: ClusterStatus | undefined, here: HereOnDisk): ObjectsListing {
  const models = new Map(status?.jobs.map(({ job, model }) => [job, model]));
  const { count = 0, bytes = 0, limitBytes = 0 } = status?.objects ?? {};
  return {
    head: status?.head ?? null,
    hosts: (status?.hosts ?? []).map((host) => ({
      agent: host.agent,
      hostName: host.hostName,
      pid: host.pid,
      objects: host.objects,
      objectBytes: host.objectBytes,
      heldBytes: host.heldBytes,
      objectLimitBytes: host.objectLimitBytes,
      spillBytes: host.spillBytes,
      spillLimitBytes: host.spillLimitBytes,
      spill: host.spill,
      waitsFor: host.waitsFor,
      // A fit that has ended gives back what it had a moment later.
      fits: host.fits.map((fit) => ({ ...fit, model: models.get(fit.job) ?? "ended" })),
    })),
    total: {
      objects: count,
      objectBytes: bytes,
      objectLimitBytes: limitBytes,
      spillBytes: status?.spillBytes ?? 0,
    },
    here,
  };
}

/** The text that people read. */
export function renderListing(listing: ObjectsListing): string {
  const parts = [...clusterParts(listing), renderHere(listing.here)];
  const text = parts.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"));
  return `${text.join("\n\n")}\n`;
}

function clusterParts({ head, hosts, total }: ObjectsListing): string[][] {
  if (head === null) {
    return [
      ["no head of yours runs on this host: what follows is on its disk (--join asks a head)"],
    ];
  }
  if (hosts.length === 0) return [["nothing is held: no worker has joined"]];
  const fits = hosts.flatMap((host) => host.fits.map((fit) => ({ host, fit })));
  const isEmpty = fits.length === 0 && total.objectBytes + total.spillBytes === 0;
  return [
    isEmpty ? ["nothing is held"] : table(fitHeader, fits.map(fitRow)),
    table(hostHeader, [
      ...hosts.map((host) => [
        host.hostName,
        String(host.pid),
        ofLimit(host.objectBytes, host.objectLimitBytes),
        formatBytes(host.heldBytes - host.objectBytes),
        spilledAt(host),
        host.spill === undefined ? "-" : formatBytes(host.spill.peakBytes),
        host.spill?.directory ?? "-",
      ]),
      ...(hosts.length === 1 ? [] : [totalRow(total, hosts)]),
    ]),
    renderWaits(hosts),
  ];
}

const fitHeader = [
  ...["HOST", "PID", "FIT", "MODEL", "BLOCKS", "BYTES"],
  ...["IN USE", "SPILLED", "RESTORED", "WAITING"],
];

const fitRow = ({ host, fit }: { host: HostObjects; fit: HostObjects["fits"][number] }) => [
  host.hostName,
  String(host.pid),
  fit.job,
  fit.model,
  String(fit.blocks),
  formatBytes(fit.bytes),
  formatBytes(fit.pinnedBytes),
  formatBytes(fit.spilledBytes),
  formatBytes(fit.restoredBytes),
  String(fit.waitingPortions),
];

const hostHeader = ["HOST", "PID", "MEMORY", "KEPT FREE", "SPILLED", "AT MOST", "SPILL DIRECTORY"];

function totalRow(total: ObjectsListing["total"], hosts: readonly HostObjects[]): string[] {
  const freeBytes = hosts.reduce((sum, host) => sum + host.heldBytes - host.objectBytes, 0);
  const memory = ofLimit(total.objectBytes, total.objectLimitBytes);
  return ["total", "", memory, formatBytes(freeBytes), formatBytes(total.spillBytes), "", ""];
}
