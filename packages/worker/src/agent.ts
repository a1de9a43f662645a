/** A host's part in a cluster: it takes leases from a head and fits them on its threads. */

import { crc32 } from "node:zlib";
import type { KernelModule } from "@fascicle/core";
import type { SlabAllocator } from "@fascicle/object-store";
import {
  type Connection,
  type FromAgent,
  type HostInfo,
  type JobSpec,
  readToAgent,
} from "@fascicle/transport";
import { AgentJob, memoryNeeded } from "./agentJob.ts";
import { ThreadPool } from "./threadPool.ts";

const progressIntervalMs = 250;

export interface AgentOptions {
  readonly host: HostInfo;
  readonly memory: SlabAllocator;
  /** The kernel modules that this worker runs, by the name that models give: name to URL. Others are refused. */
  readonly kernelModules: ReadonlyMap<string, string>;
  log(sentence: string): void;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #connection: Connection;
  readonly #pool = new ThreadPool();
  readonly #jobs = new Map<string, AgentJob>();
  readonly #closing = new Set<Promise<void>>();
  /** Messages of one job are handled one after the other, though opening it takes a while. */
  readonly #opening = new Map<string, Promise<void>>();
  readonly #reporter: NodeJS.Timeout;
  #isDraining = false;
  /** Resolves with the reason when the connection ends. */
  readonly ended: Promise<string>;

  constructor(connection: Connection, options: AgentOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#reporter = setInterval(() => this.#report(), progressIntervalMs);
    this.ended = new Promise((resolve) => {
      connection.start({
        onMessage: (message, payload) => this.#received(message, payload),
        onClose: (reason) => void this.#stop().then(() => resolve(reason)),
      });
    });
    this.#say({ type: "hello", host: options.host, holds: [] });
  }

  /** Takes no new work, finishes what is begun (at most `timeoutMs`), and leaves. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    this.#say({ type: "draining" });
    for (const job of this.#jobs.values()) job.drain();
    const untilMs = Date.now() + timeoutMs;
    const isBusy = () => [...this.#jobs.values()].some((job) => job.openChunks > 0);
    while (isBusy() && this.#connection.isOpen && Date.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#connection.close("the worker leaves");
    await this.ended;
  }

  #say(message: FromAgent): void {
    this.#connection.send(message);
  }

  #received(raw: unknown, payload: Uint8Array): void {
    const message = readToAgent(raw);
    if (message.type === "open") {
      const opening = this.#open(message.spec, message.slots, message.epoch, payload);
      this.#opening.set(message.spec.job, opening);
      return;
    }
    const opening = this.#opening.get(message.job);
    const handle = () => {
      try {
        this.#handle(message, payload);
      } catch (error) {
        this.#giveUp(message.job, error);
      }
    };
    if (opening === undefined) handle();
    else void opening.then(handle);
  }

  /** A fit that is not in order harms no other fit: it alone is given up here. */
  #giveUp(id: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.log(`gives up fit ${id}: ${reason}`);
    const epoch = this.#jobs.get(id)?.epoch ?? 0;
    this.#say({ type: "refused", job: id, epoch, reason: reason.slice(0, 1_000) });
    this.#close(id);
  }

  #close(id: string): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    this.#jobs.delete(id);
    const closing = job.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #handle(message: Exclude<ReturnType<typeof readToAgent>, { type: "open" }>, payload: Uint8Array) {
    const job = this.#jobs.get(message.job);
    if (job === undefined) return;
    switch (message.type) {
      case "lease":
        job.lease(message.chunks);
        return;
      case "block":
        if (crc32(payload) !== message.crc) throw new Error("its signals came damaged");
        job.block(message.block, message.offset, payload);
        return;
      case "settled":
        job.settled(message.chunks);
        return;
      case "credit":
        job.credit(message.bytes);
        return;
      case "recall":
        this.#say({
          type: "returned",
          job: message.job,
          epoch: message.epoch,
          ranges: [],
          isRecall: true,
        });
        return;
      case "adopt":
        return;
      case "close":
        this.#close(message.job);
    }
  }

  async #open(spec: JobSpec, slots: number, epoch: number, payload: Uint8Array): Promise<void> {
    try {
      const moduleUrl = await this.#resolveKernel(spec);
      // The room of fits that are being closed is free only when their threads have let go.
      await Promise.all(this.#closing);
      if (!this.#connection.isOpen) return;
      const { memory } = this.#options;
      const neededBytes = memoryNeeded(spec);
      if (neededBytes <= memory.limitBytes && neededBytes > memory.limitBytes - memory.usedBytes) {
        this.#options.log(`has no room for fit ${spec.job} beside the others; it waits`);
        this.#say({ type: "deferred", job: spec.job, epoch });
        return;
      }
      const context = { connection: this.#connection, pool: this.#pool, memory, moduleUrl };
      const job = new AgentJob(spec, slots, epoch, payload, context);
      this.#jobs.set(spec.job, job);
      if (this.#isDraining) job.drain();
      this.#options.log(`takes part in ${spec.model} fit ${spec.job} with ${slots} threads`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log(`refuses fit ${spec.job}: ${reason}`);
      this.#say({ type: "refused", job: spec.job, epoch, reason: reason.slice(0, 1_000) });
    } finally {
      this.#opening.delete(spec.job);
    }
  }

  /** The URL of the fit's kernels, if this worker has the same ones. */
  async #resolveKernel({ kernel }: JobSpec): Promise<string> {
    const url = this.#options.kernelModules.get(kernel.module);
    const { hostName } = this.#options.host;
    if (url === undefined) {
      throw new Error(`the worker on ${hostName} does not run kernels of ${kernel.module}`);
    }
    const module = (await import(url)) as KernelModule;
    const ours = module.kernelHash();
    if (ours !== kernel.hash) {
      throw new Error(
        `the worker on ${hostName} has other kernels (${ours}) than the fit (${kernel.hash}): install the same version of Fascicle on both`,
      );
    }
    return url;
  }

  #report(): void {
    for (const [id, job] of this.#jobs) {
      const { voxelsDone, busySlots } = job;
      this.#say({ type: "progress", job: id, voxels: voxelsDone, busySlots });
    }
    const { usedBytes, count } = this.#options.memory;
    this.#say({ type: "memory", objectBytes: usedBytes, objects: count });
  }

  async #stop(): Promise<void> {
    clearInterval(this.#reporter);
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    await Promise.all([...jobs.map((job) => job.close()), ...this.#closing]);
    await this.#pool.end();
  }
}
