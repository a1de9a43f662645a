/** Who sends blocks of signals to whom: tells the machine of transfers what happens, and carries out what it decides. */
import {
  type BlockName,
  emptyTransferState,
  stepTransfer,
  type TransferEffect,
  type TransferEvent,
} from "@fascicle/core";
import type { DataAddress, FromAgent } from "@fascicle/transport";
import type { Desk } from "./desk.ts";
import type { HeadJob } from "./jobs.ts";

/** Workers that are reached on loopback only reach each other, and nobody else reaches them. */
const loopbackIsland = "loopback";

export class Transfers {
  readonly #desk: Desk;
  readonly #state = emptyTransferState();
  readonly #addresses = new Map<string, DataAddress>();

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** `remote` is where the head sees the worker, `address` where it says that it listens. */
  joined(agent: string, remote: string, address: DataAddress | undefined): void {
    const isOnLoopback = address !== undefined && isLoopback(address.host);
    // One that is elsewhere cannot be reached on its own loopback: it came through a tunnel.
    const isReachable = address !== undefined && (!isOnLoopback || isLoopback(remote));
    const island = isOnLoopback ? loopbackIsland : undefined;
    if (isReachable) this.#addresses.set(agent, address);
    this.#step({ type: "AgentJoined", agent, isReachable, island });
  }

  left(agent: string): void {
    this.#addresses.delete(agent);
    this.#step({ type: "AgentLeft", agent });
  }

  /** The worker has no part in the fit any more. */
  partEnded(agent: string, job: string): void {
    this.#step({ type: "PartEnded", agent, job });
  }

  jobEnded(job: string): void {
    this.#step({ type: "ObjectsGone", job });
  }

  /** Throws where a worker may not ask for it. */
  wanted(agent: string, { spec, blocks }: HeadJob, block: number): void {
    blocks.want(agent, block);
    this.#step({ type: "Wanted", agent, object: { job: spec.job, block } });
  }

  heard(
    agent: string,
    { blocks }: HeadJob,
    message: Extract<FromAgent, { type: "blockHere" | "blockGone" | "blockMissed" }>,
  ): void {
    const { job, block } = message;
    const object: BlockName = { job, block };
    if (message.type === "blockMissed") {
      const { source, offset, isAbsent, reason } = message;
      blocks.missed(agent, block, offset);
      const { names, log } = this.#desk;
      log(`${names.nameOf(agent)} did not get a block from ${names.nameOf(source)}: ${reason}`);
      this.#step({ type: "Failed", agent, object, source, isAbsent });
      return;
    }
    blocks.done(agent, block);
    this.#step({ type: message.type === "blockHere" ? "Arrived" : "Dropped", agent, object });
  }

  /** A block has been passed on whole; one that serves others says itself when it has it. */
  delivered(agent: string, object: BlockName): void {
    if (!this.#addresses.has(agent)) this.#step({ type: "Arrived", agent, object });
  }

  #step(event: TransferEvent): void {
    const effects: TransferEffect[] = [];
    stepTransfer(this.#state, event, effects);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: TransferEffect): void {
    const { toAgent, toClient, jobs } = this.#desk;
    const { object, to } = effect;
    const job = jobs.get(object.job);
    if (job === undefined) return;
    switch (effect.type) {
      case "SendFromDriver": {
        const offset = job.blocks.relay(to, object.block);
        toClient(job, { type: "blockWanted", agent: to, ...object, offset });
        return;
      }
      case "SendFromHost": {
        const address = this.#addresses.get(effect.from)!;
        toAgent(to, { type: "blockAt", ...object, agent: effect.from, ...address });
        return;
      }
      case "AbandonSource":
        toAgent(to, { type: "blockLost", ...object, agent: effect.from });
    }
  }
}

const isLoopback = (host: string) =>
  /^(localhost|::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/.test(host.toLowerCase());
