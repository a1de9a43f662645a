/** What must hold after every step, for tests and the simulator. */
import { carefulRoom, hasForHungry } from "./leases.ts";
import { type HeadState, type JobState, priorityOf, slotLimitOf } from "./state.ts";

/** Throws where the state contradicts itself: every chunk is pending, settled, or held by one host (two where it has a copy). */
export function checkHeadInvariants(state: HeadState): void {
  for (const job of state.jobs.values()) checkJob(state, job);
  checkActors(state);
  checkObjects(state);
}

function checkJob(state: HeadState, job: JobState): void {
  const id = job.request.job;
  let leased = 0;
  let slots = 0;
  let recalls = 0;
  for (const [agent, assignment] of job.assignments) {
    const host = state.agents.get(agent);
    assertThat(host !== undefined, `job ${id} is assigned to the absent agent ${agent}`);
    assertThat(!job.refusals.has(agent), `job ${id} is assigned to ${agent}, which refused it`);
    assertThat(!job.deferrals.has(agent), `job ${id} is assigned to ${agent}, which deferred it`);
    assertThat(assignment.epoch < state.nextEpoch, `job ${id} has an epoch of the future`);
    leased += assignment.leased.size;
    slots += assignment.slots;
    if (assignment.recalled !== undefined) recalls++;
    for (const range of assignment.leased.ranges()) {
      assertThat(!job.pending.intersects(range), `job ${id} has leased chunks that are pending`);
      assertThat(!job.settled.intersects(range), `job ${id} has leased chunks that are settled`);
    }
    if (job.request.actor !== undefined || host.isDraining || host.phase !== "ready") continue;
    const isHungry = assignment.leased.size === 0 || job.hungry.has(agent);
    const isHeldBack = isOutranked(state, job, agent);
    const mayHaveNone = carefulRoom(job, assignment) < 1 && !hasForHungry(job);
    assertThat(
      !isHungry || isHeldBack || job.pending.size === 0 || mayHaveNone,
      `job ${id} starves ${agent}`,
    );
  }
  assertThat(recalls === job.recallsOpen, `job ${id} miscounts its recalls`);
  assertThat(slots === job.slotsGranted, `job ${id} miscounts its slots`);
  assertThat(slots <= slotLimitOf(job), `job ${id} has more slots than it may`);
  for (const agent of job.hungry) {
    assertThat(job.assignments.has(agent), `job ${id} lets ${agent} wait, which has no part of it`);
  }
  for (const [agent, dueMs] of job.deferrals) {
    assertThat(state.agents.has(agent), `job ${id} waits for room on ${agent}, which is not there`);
    if (dueMs !== undefined) continue;
    const others = [...state.jobs.values()].filter((other) => other.assignments.has(agent));
    assertThat(others.length > 0, `job ${id} waits for room on ${agent}, which has no other job`);
  }
  for (const range of job.pending.ranges()) {
    assertThat(!job.settled.intersects(range), `job ${id} has pending chunks that are settled`);
  }
  for (const range of job.backedUp.ranges()) {
    const holders = [...job.assignments.values()].map(({ leased }) => leased);
    for (let chunk = range.start; chunk < range.end; chunk++) {
      const one = { start: chunk, end: chunk + 1 };
      const count = holders.filter((held) => held.covers(one)).length;
      assertThat(count === 2, `job ${id} has ${count} holders of chunk ${chunk} and its copy`);
    }
  }
  const total = leased - job.backedUp.size + job.pending.size + job.settled.size;
  assertThat(
    total === job.request.chunkCount,
    `job ${id} accounts for ${total} of ${job.request.chunkCount} chunks`,
  );
  if (job.phase === "blocked") {
    assertThat(job.missing.size > 0, `job ${id} waits for nothing`);
    assertThat(job.assignments.size === 0, `job ${id} waits, and is assigned`);
  } else {
    assertThat(job.missing.size === 0, `job ${id} runs without what it needs`);
  }
}

function isOutranked(state: HeadState, job: JobState, agent: string): boolean {
  return [...state.jobs.values()].some(
    (other) =>
      priorityOf(other) > priorityOf(job) && other.pending.size > 0 && other.assignments.has(agent),
  );
}

function checkActors(state: HeadState): void {
  for (const [id, actor] of state.actors) {
    const isPlaced = actor.phase !== "waiting";
    assertThat(isPlaced === (actor.agent !== undefined), `actor ${id} is nowhere`);
    if (actor.agent !== undefined) {
      const host = state.agents.get(actor.agent);
      assertThat(host?.actors.has(id) === true, `actor ${id} has no slot`);
    }
    for (const [place, call] of actor.mailbox.entries()) {
      const job = state.jobs.get(call);
      assertThat(job?.request.actor === id, `actor ${id} has a call that is not its own`);
      const mayRun = place === 0 && actor.isBusy;
      assertThat(mayRun || job.assignments.size === 0, `actor ${id} runs a call out of turn`);
    }
  }
  for (const host of state.agents.values()) {
    assertThat(host.actors.size <= host.slots, `agent ${host.agent} has more actors than slots`);
    for (const id of host.actors) {
      assertThat(
        state.actors.get(id)?.agent === host.agent,
        `agent ${host.agent} keeps a dead actor`,
      );
    }
  }
}

function checkObjects(state: HeadState): void {
  for (const [id, object] of state.objects) {
    const isSomewhere = object.isKept || object.holders.size > 0;
    assertThat(object.isReady === isSomewhere, `object ${id} is ready and nowhere, or the reverse`);
    for (const agent of object.holders) {
      assertThat(state.agents.has(agent), `object ${id} is held by the absent agent ${agent}`);
    }
    if (object.isReady || object.maker === undefined) continue;
    assertThat(state.jobs.has(object.maker.job), `nothing makes object ${id}`);
  }
}

function assertThat(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Scheduler invariant broken: ${message}.`);
}
