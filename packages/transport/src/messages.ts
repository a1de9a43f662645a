/**
 * Everything that is said on the wire, and who says it. What a peer sends is checked against these before it
 * is believed; raw numbers (signals, fitted values, kernel parameters) travel as the payload.
 */
import { z } from "zod";
import { listedFitsLimit, listedWaitsLimit } from "./limits.ts";
import { reader } from "./reader.ts";

const count = z.number().int().nonnegative();
const id = z.string().min(1).max(100);
/** Control characters would reach somebody's terminal. */
const text = z
  .string()
  .max(2_000)
  .transform((value) => value.replaceAll(/\p{Cc}/gu, " "));
const range = z
  .object({ start: count, end: count })
  .refine(({ start, end }) => start < end, "a range is empty");
const chunks = range;
const ranges = z.array(range).max(100_000).readonly();
const bytes = count.max(2 ** 50);
const slotCount = count.positive().max(4_096);
const seconds = z.number().nonnegative().max(1e9);

export const jobSpecSchema = z.object({
  job: id,
  model: text,
  voxelCount: count.positive(),
  chunkCount: count.positive(),
  signals: z.object({
    width: count.positive(),
    dtype: z.enum(["float32", "float64"]),
    /** Voxels in each block that is sent; the last may have fewer. */
    blockVoxels: count.positive(),
  }),
  outputs: z
    .array(
      z.object({
        name: text,
        width: count.positive(),
        dtype: z.enum(["float64", "uint16", "uint8"]),
        units: text,
      }),
    )
    .min(1)
    .max(64),
  kernel: z.object({ module: text, name: text, hash: text }),
  /** The most slots it may use. */
  slotLimit: count.positive().optional(),
  /** Higher goes first. */
  priority: z.number().int().min(-1_000).max(1_000).optional(),
  /** A voxel that takes longer is given up. */
  voxelTimeoutMs: z.number().positive().max(1e9).optional(),
});

/** A fit as it travels; the kernel's parameters are the payload (`encodeValue`). */
export type JobSpec = z.infer<typeof jobSpecSchema>;

/** Where a worker listens for others that want its data. */
const dataAddress = {
  host: z.string().regex(/^[\w.:%-]{1,255}$/),
  port: z.number().int().min(1).max(65_535),
};

const hostSchema = z.object({
  agent: id,
  hostName: text,
  pid: count,
  slots: slotCount,
  /** The same for all workers on one machine. */
  machine: text,
  /** Cores of the machine, hyperthreads of one core counted once. */
  physicalCores: count.positive().max(2 ** 16),
  memoryBytes: bytes,
  /** What fits may take of it. */
  objectMemoryBytes: bytes,
  version: text,
});

/** What an agent says of itself. */
export type HostInfo = z.infer<typeof hostSchema>;

/** Names one opening of a fit on one worker: words that carry an earlier one are stale. */
const epoch = count;

/** What a driver or a worker that comes back proves by that it is the same; nobody else is told. */
const ownKey = z.string().min(16).max(100);

const ownerSchema = z.object({
  pid: count,
  startTime: text,
  bootId: text,
  machineId: text,
  pidNamespace: text,
  hostName: text,
});

/** What was spent since the last piece, summed over threads, and attempts begun beyond one for each chunk. */
const timings = z.object({ computeSeconds: seconds, copySeconds: seconds, retried: count });

/**
 * A piece of the fitted values: the payload holds, for each output in order, the rows of these voxels. The piece
 * that completes a run of chunks names them.
 */
const resultFields = {
  job: id,
  epoch,
  voxels: range,
  completes: chunks.optional(),
  crc: count,
  timings,
};

/** What a fit has of a worker's object memory and of its disk. */
const fitObjectsSchema = z.object({
  job: id,
  /** Blocks of signals and places for results that are in memory, or on their way there. */
  blocks: count,
  bytes,
  /** What its chunks use, or have reserved; the rest may leave memory. */
  pinnedBytes: bytes,
  /** On disk. */
  spilledBytes: bytes,
  /** Came back from there, all in all. */
  restoredBytes: bytes,
  /** Portions of its chunks that wait for room in memory, and what the first of them needs. */
  waitingPortions: count,
  wantedBytes: bytes,
  /** Why what leaves memory is not kept on disk any more: a sentence. */
  cannotSpill: text.optional(),
});

/** Where a worker's objects go that must leave memory. */
const spillUseSchema = z.object({
  directory: text,
  bytes,
  /** The most there ever were. */
  peakBytes: bytes,
  limitBytes: count,
  /** Why writing waits, in words that follow "since". */
  waitsSince: text.optional(),
});

const memoryFields = {
  /** Handed out, as it was asked for; never more than the worker's object memory. */
  objectBytes: bytes,
  /** The same with what is free and kept to be used again. */
  heldBytes: bytes,
  objects: count,
  /** Those with most, where there are many. */
  fits: z.array(fitObjectsSchema).max(listedFitsLimit).readonly(),
  /** Undefined where it has no disk to spill to. */
  spill: spillUseSchema.optional(),
};

const workerMemorySchema = z.object(memoryFields);

/** What is in a worker's object memory and on its disk; sizes in bytes. */
export type WorkerMemory = z.infer<typeof workerMemorySchema>;

/** What one fit has there. */
export type FitObjects = z.infer<typeof fitObjectsSchema>;

/** The directory in which a worker spills, and how much is there. */
export type SpillUse = z.infer<typeof spillUseSchema>;

/** What a worker has in hand of a fit. */
const held = z.object({ job: id, ranges });

const fromAgentSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    host: hostSchema,
    /** The process, so that a head on the same machine sees it die. */
    owner: ownerSchema,
    /** What it proves by that it is the same worker. */
    key: ownKey,
    /** Its earlier self, and what it still holds: for a head that is new, or that had given it up. */
    replaces: id.optional(),
    holds: z.array(held).max(1_000),
    /** Others may ask it for blocks there. */
    dataAddress: z.object(dataAddress).optional(),
  }),
  z.object({ type: z.literal("workWanted"), job: id, epoch }),
  z.object({ type: z.literal("blockWanted"), job: id, block: count }),
  /** It has the block whole, and can send it to others. */
  z.object({ type: z.literal("blockHere"), job: id, block: count }),
  /** It has the block no more, or wants it no more. */
  z.object({ type: z.literal("blockGone"), job: id, block: count }),
  /** The answer to `blockAt` where the rest, from `offset` on, did not come from that worker. */
  z.object({
    type: z.literal("blockMissed"),
    job: id,
    block: count,
    source: id,
    offset: count,
    /** That worker answered that it has no such block. */
    isAbsent: z.boolean(),
    reason: text,
  }),
  z.object({ type: z.literal("result"), ...resultFields }),
  z.object({
    type: z.literal("progress"),
    job: id,
    voxels: count,
    busySlots: slotCount.or(z.literal(0)),
  }),
  /** These were not begun; with `isRecall`, the answer to one, perhaps empty. */
  z.object({ type: z.literal("returned"), job: id, epoch, ranges, isRecall: z.boolean() }),
  z.object({
    type: z.literal("failed"),
    job: id,
    epoch,
    chunks,
    failure: z.enum(["executor", "outOfMemory", "application"]),
    reason: text,
  }),
  z.object({ type: z.literal("refused"), job: id, epoch, reason: text }),
  /** There is no room for it beside the other fits on this host. */
  z.object({ type: z.literal("deferred"), job: id, epoch }),
  z.object({ type: z.literal("draining") }),
  /** Said when it changes, now and then. */
  z.object({ type: z.literal("memory"), ...memoryFields }),
]);

/** How much of its results a worker may have under way to the driver. */
const windowBytes = bytes.min(1);

const toAgentSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("open"),
    spec: jobSpecSchema,
    slots: count.positive(),
    epoch,
    windowBytes,
  }),
  /** The worker keeps these ranges of a fit that it has open already. */
  z.object({ type: z.literal("adopt"), job: id, epoch, keeps: ranges }),
  z.object({ type: z.literal("lease"), job: id, epoch, chunks, isCareful: z.boolean() }),
  /** Others are idle: what of these is not begun is wanted back. */
  z.object({ type: z.literal("recall"), job: id, epoch, chunks }),
  /** A piece of a block of signals; `offset` in bytes within the block. */
  z.object({ type: z.literal("block"), job: id, block: count, offset: count, crc: count }),
  /** Another worker has a block that was asked for. Answered by `blockHere` or `blockMissed`. */
  z.object({ type: z.literal("blockAt"), job: id, block: count, agent: id, ...dataAddress }),
  /** That worker will send no more of it: answered likewise. */
  z.object({ type: z.literal("blockLost"), job: id, block: count, agent: id }),
  z.object({ type: z.literal("settled"), job: id, chunks }),
  /** The driver took this much of the results sent in that opening. */
  z.object({ type: z.literal("credit"), job: id, epoch, bytes: count }),
  z.object({ type: z.literal("close"), job: id }),
]);

/** Who a fit's driver is: the process, and what proves that it is the same one. */
const driverFields = { key: ownKey, owner: ownerSchema };

const fromClientSchema = z.discriminatedUnion("type", [
  /** `settled` chunks are in place already, from an earlier try. */
  z.object({ type: z.literal("submit"), spec: jobSpecSchema, settled: ranges, ...driverFields }),
  /** A driver that lost its head takes its fit up again; `settled` is what it has. */
  z.object({ type: z.literal("attach"), job: id, settled: ranges, ...driverFields }),
  z.object({
    type: z.literal("block"),
    agent: id,
    job: id,
    block: count,
    offset: count,
    crc: count,
  }),
  /** A piece of results is at its destination and matches its checksum; with `settled`, so is all of those chunks. */
  z.object({
    type: z.literal("stored"),
    agent: id,
    job: id,
    epoch,
    bytes: count,
    settled: chunks.optional(),
  }),
  /** A piece of results did not match its checksum: this fit wants no more of that worker. */
  z.object({ type: z.literal("damaged"), agent: id, job: id }),
  /** Its results wait for room on the driver's disk, in words that follow "since"; without a reason, no longer. */
  z.object({ type: z.literal("diskWait"), job: id, reason: text.optional() }),
  z.object({ type: z.literal("cancel"), job: id, reason: text }),
  z.object({ type: z.literal("status"), request: count }),
  /** What does a fit, a worker or a host wait for? Without a name: everything. */
  z.object({ type: z.literal("why"), request: count, name: text.optional() }),
]);

const statusSchema = z.object({
  head: z.object({
    version: text,
    pid: count,
    hostName: text,
    port: count,
    uptimeSeconds: z.number(),
  }),
  hosts: z.array(
    hostSchema.extend({
      ...memoryFields,
      busySlots: count,
      /** What its fits may take, all together. */
      objectLimitBytes: bytes,
      spillBytes: bytes,
      spillLimitBytes: count,
      /** What waits there for memory or for room on disk, and what to do: sentences. */
      waitsFor: z.array(text).max(listedWaitsLimit),
      state: text,
    }),
  ),
  slots: z.object({ total: count, busy: count }),
  jobs: z.array(
    z.object({
      job: id,
      model: text,
      state: z.enum(["running", "waiting for workers", "waiting for its driver"]),
      chunks: z.object({ total: count, settled: count, leased: count, pending: count }),
      /** `done` are those of settled chunks; `fitted` are done or on their way to the driver. */
      voxels: z.object({ total: count, done: count, fitted: count }),
      seconds: z.number(),
      /** Higher goes first. */
      priority: z.number().int(),
      /** Why its results wait for room on its driver's disk, and what to do: a sentence. */
      waitsForDisk: z.string().max(3_000).optional(),
    }),
  ),
  /** In the memory of all workers. */
  objects: z.object({ count, bytes: count, limitBytes: count }),
  /** On the disks of all workers. */
  spillBytes: count,
});

/** What `runtime status --json` prints; sizes in bytes. */
export type ClusterStatus = z.infer<typeof statusSchema>;

/** One worker in it. */
export type HostStatus = ClusterStatus["hosts"][number];

/** Somebody's sentence and story; times in milliseconds since 1970. */
const explanation = z.object({
  kind: z.enum(["fit", "worker", "actor"]),
  id: text,
  /** Host and process of a worker, model of a fit. */
  name: text,
  sentence: z.string().max(20_000),
  story: z.array(z.object({ atMs: z.number(), text: z.string().max(20_000) })).max(1_000),
});

export type Explanation = z.infer<typeof explanation>;

const toClientSchema = z.discriminatedUnion("type", [
  /** What there is to work with; sent when the job is taken and when it changes. */
  z.object({
    type: z.literal("workers"),
    job: id,
    slots: count,
    agents: count,
    /** Workers that will take part when another fit of theirs ends. */
    deferred: count,
    physicalCores: count,
  }),
  /** The rest of a block, from this byte on. */
  z.object({ type: z.literal("blockWanted"), agent: id, job: id, block: count, offset: count }),
  z.object({ type: z.literal("result"), agent: id, ...resultFields }),
  /** Voxels fitted so far by all hosts, those not settled included. */
  z.object({ type: z.literal("progress"), job: id, voxels: count }),
  /** The answer to `attach` where the head does not know the fit. */
  z.object({ type: z.literal("unknown"), job: id }),
  z.object({
    type: z.literal("complete"),
    job: id,
    counts: z.object({ lost: count, stolen: count, backups: count }),
  }),
  /** `isOfKernel`: to try again is in vain. */
  z.object({
    type: z.literal("jobFailed"),
    job: id,
    reason: text,
    isOfKernel: z.boolean().optional(),
  }),
  z.object({ type: z.literal("statusReply"), request: count, status: statusSchema }),
  z.object({ type: z.literal("whyReply"), request: count, explanations: z.array(explanation) }),
]);

export type FromAgent = z.infer<typeof fromAgentSchema>;
export type ToAgent = z.infer<typeof toAgentSchema>;
export type FromClient = z.infer<typeof fromClientSchema>;
export type ToClient = z.infer<typeof toClientSchema>;

export const readFromAgent = reader<FromAgent>(fromAgentSchema, "a worker");
export const readToAgent = reader<ToAgent>(toAgentSchema, "the head");
export const readFromClient = reader<FromClient>(fromClientSchema, "a client");
export const readToClient = reader<ToClient>(toClientSchema, "the head");
