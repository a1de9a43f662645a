/** A driver's session with the head, or that of a command that asks. */
import { counted, type Range } from "@fascicle/core";
import { blockVoxelsFor } from "@fascicle/object-store";
import {
  type FromClient,
  fitsPerClientLimit,
  type JobSpec,
  readFromClient,
  type Session,
  type ToClient,
} from "@fascicle/transport";
import type { Desk } from "./desk.ts";
import { HeadJob, requestOf } from "./jobs.ts";
import { ProcessWatch } from "./processWatch.ts";

/** What a driver may ask of the head beside its fits. */
export interface Questions {
  /** A fit was submitted, and is to be remembered. */
  submitted(job: HeadJob, settled: readonly Range[]): void;
  answer(message: Extract<FromClient, { type: "status" | "why" }>, session: Session): void;
}

type Submit = Extract<FromClient, { type: "submit" }>;

export class ClientPeer {
  readonly #desk: Desk;
  readonly #session: Session;
  readonly #number: number;
  readonly #questions: Questions;
  readonly #watch: ProcessWatch;

  /** Sessions are numbered as they come. `onClosed` is called when this one is over. */
  constructor(
    desk: Desk,
    session: Session,
    number: number,
    questions: Questions,
    onClosed: () => void,
  ) {
    this.#desk = desk;
    this.#session = session;
    this.#number = number;
    this.#questions = questions;
    this.#watch = new ProcessWatch(session);
    session.start({
      onMessage: (raw, payload) => this.#received(readFromClient(raw), payload),
      onAway: () => this.#watch.away(),
      onBack: () => this.#watch.stop(),
      onClose: (reason, isGoodbye) => {
        this.#watch.stop();
        this.#left(reason, isGoodbye || this.#watch.isDead);
        onClosed();
      },
    });
  }

  /** A driver that says goodbye, or is dead, wants no more of its fits; one that is lost may come back for them. */
  #left(reason: string, isGone: boolean): void {
    for (const [id, job] of [...this.#desk.jobs]) {
      if (job.client !== this.#session) continue;
      job.client = undefined;
      if (isGone) {
        this.#desk.log(`fit ${id} ends, its driver is gone: ${reason}`);
        this.#desk.apply({ type: "JobCancelled", job: id, reason: "its driver is gone" });
      } else {
        this.#desk.log(`the driver of fit ${id} is lost: ${reason}`);
        this.#desk.apply({ type: "DriverAway", job: id });
      }
    }
  }

  #received(message: FromClient, payload: Uint8Array): void {
    switch (message.type) {
      case "submit":
        this.#watch.owner = message.owner;
        this.#submit(message, payload);
        return;
      case "attach":
        this.#watch.owner = message.owner;
        this.#attach(message.job, message.settled, message.key);
        return;
      case "status":
      case "why":
        this.#questions.answer(message, this.#session);
        return;
    }
    const job = this.#desk.jobs.get(message.job);
    if (job === undefined) return;
    if (job.client !== this.#session) throw new Error("a fit is its own driver's business");
    this.#aboutJob(job, message, payload);
  }

  #aboutJob(
    job: HeadJob,
    message: Extract<FromClient, { type: "cancel" | "block" | "damaged" | "stored" | "diskWait" }>,
    payload: Uint8Array,
  ): void {
    const { apply, toAgent, log, tellWorkers, state } = this.#desk;
    const id = message.job;
    switch (message.type) {
      case "cancel":
        log(`fit ${id} was cancelled: ${message.reason}`);
        apply({ type: "JobCancelled", job: id, reason: message.reason });
        return;
      case "block": {
        const { agent, ...block } = message;
        const { length } = payload;
        const { isNext, isLast } = job.blocks.deliver(agent, block.block, block.offset, length);
        if (isNext) toAgent(agent, block, payload);
        if (isLast) this.#desk.transfers.delivered(agent, { job: id, block: block.block });
        return;
      }
      case "damaged": {
        const reason = "its results came damaged";
        const { agent } = message;
        log(`fit ${id} wants no more of ${agent}: ${reason}`);
        const epoch = state.jobs.get(id)?.assignments.get(agent)?.epoch ?? 0;
        apply({ type: "JobRefused", agent, job: id, epoch, reason });
        tellWorkers();
        return;
      }
      case "diskWait":
        job.diskWait = message.reason;
        return;
      case "stored":
        this.#stored(job, message);
    }
  }

  #stored(job: HeadJob, message: Extract<FromClient, { type: "stored" }>): void {
    const { agent, job: id, epoch, bytes, settled } = message;
    job.windows.credit(agent, epoch, bytes);
    this.#desk.toAgent(agent, { type: "credit", job: id, epoch, bytes });
    if (settled !== undefined) {
      this.#desk.apply({ type: "RangeSettled", agent, job: id, chunks: settled });
    }
  }

  #submit({ spec, settled, key }: Submit, payload: Uint8Array): void {
    const { jobs, log, apply, tellWorkers } = this.#desk;
    if (jobs.has(spec.job)) {
      // Its first word came late, over the session before this one.
      this.#attach(spec.job, settled, key);
      return;
    }
    if (spec.chunkCount > spec.voxelCount) throw new Error("a fit has more chunks than voxels");
    const { voxelCount, signals } = spec;
    if (signals.blockVoxels !== blockVoxelsFor({ voxelCount, ...signals })) {
      throw new Error("a fit cuts its signals into other blocks than ours");
    }
    checkInside(spec, settled);
    const open = [...jobs.values()].filter((job) => job.client === this.#session);
    if (open.length >= fitsPerClientLimit) {
      const reason = `a driver may have ${fitsPerClientLimit} fits at once`;
      this.#session.send({ type: "jobFailed", job: spec.job, reason } satisfies ToClient);
      return;
    }
    const job = new HeadJob(spec, payload, key, this.#session);
    job.clientNumber = this.#number;
    jobs.set(spec.job, job);
    log(
      `fit ${spec.job}: ${spec.model}, ${counted(spec.voxelCount, "voxel")} in ${counted(spec.chunkCount, "chunk")}`,
    );
    this.#questions.submitted(job, settled);
    apply({ type: "JobSubmitted", request: requestOf(spec, settled) });
    tellWorkers();
  }

  /** A driver is back for its fit, perhaps before its last session is known to be dead. */
  #attach(id: string, settled: readonly Range[], key: string): void {
    const job = this.#desk.jobs.get(id);
    if (job === undefined) {
      this.#session.send({ type: "unknown", job: id } satisfies ToClient);
      return;
    }
    if (job.key !== key) throw new Error("a fit is its own driver's business");
    checkInside(job.spec, settled);
    // What a stalled session brings when its driver has come back in a later one is no news.
    if (job.clientNumber > this.#number) return;
    job.client = this.#session;
    job.clientNumber = this.#number;
    // If it still waits for its disk, it says so again.
    job.diskWait = undefined;
    this.#desk.log(`the driver of fit ${id} is back`);
    this.#desk.apply({ type: "DriverBack", job: id, settled });
    // What it was asked for and had not sent is asked for again.
    for (const wanted of job.blocks.outstanding()) {
      this.#session.send({ type: "blockWanted", job: id, ...wanted } satisfies ToClient);
    }
    this.#desk.tellWorkers();
  }
}

function checkInside(spec: JobSpec, settled: readonly Range[]): void {
  for (const { end } of settled) {
    if (end > spec.chunkCount) throw new Error("a fit has settled chunks that it does not have");
  }
}
