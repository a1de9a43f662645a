/** What the head tells about itself: to `runtime status`, and to drivers about who works for them. */
import type { HeadState, JobState } from "@fascicle/core";
import type { ClusterStatus, HostInfo, Session, WorkerMemory } from "@fascicle/transport";
import type { HeadJob } from "./jobs.ts";
import { listedWaits, memoryWaits, roomWaits } from "./memoryWaits.ts";

/** What the head keeps of a worker beside the scheduler's entry. */
export interface AgentRecord {
  readonly session: Session;
  readonly host: HostInfo;
  /** What it proves by that it is the same worker when it comes back under another name. */
  readonly key: string;
  readonly busySlots: Map<string, number>;
  /** As it said last. */
  memory: WorkerMemory;
}

/** Of a worker that has not said anything of it. */
export const nothingInMemory: WorkerMemory = { objectBytes: 0, heldBytes: 0, objects: 0, fits: [] };

const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

/** Who takes part in a fit. Hyperthreads of one machine's core count once. */
export function workersOf(job: JobState, hostOf: (agent: string) => HostInfo | undefined) {
  const machines = new Map<string, { slots: number; cores: number }>();
  for (const [agent, assignment] of job.assignments) {
    const host = hostOf(agent);
    if (host === undefined) continue;
    const machine = machines.get(host.machine) ?? { slots: 0, cores: 0 };
    machine.slots += assignment.slots;
    machine.cores = Math.max(machine.cores, host.physicalCores);
    machines.set(host.machine, machine);
  }
  const each = [...machines.values()];
  return {
    slots: sum(each.map(({ slots }) => slots)),
    agents: job.assignments.size,
    deferred: job.deferrals.size,
    physicalCores: sum(each.map(({ slots, cores }) => Math.min(slots, cores))),
  };
}

export function clusterStatus(
  head: ClusterStatus["head"],
  agents: readonly AgentRecord[],
  jobs: ReadonlyMap<string, HeadJob>,
  state: HeadState,
): ClusterStatus {
  const withoutRoom = roomWaits(state);
  const hosts = agents.map((record) => {
    const { host, memory } = record;
    const waits = [...(withoutRoom.get(host.agent) ?? []), ...memoryWaits(record)];
    return {
      ...host,
      ...memory,
      busySlots: Math.min(host.slots, sum(record.busySlots.values())),
      objectLimitBytes: host.objectMemoryBytes,
      spillBytes: memory.spill?.bytes ?? 0,
      spillLimitBytes: memory.spill?.limitBytes ?? 0,
      waitsFor: listedWaits(waits),
      state: stateOf(state, host.agent),
    };
  });
  return {
    head,
    hosts,
    slots: {
      total: sum(hosts.map((host) => host.slots)),
      busy: sum(hosts.map((host) => host.busySlots)),
    },
    jobs: [...jobs].flatMap(([id, job]) => {
      const entry = state.jobs.get(id);
      return entry === undefined ? [] : [job.status(entry)];
    }),
    objects: {
      count: sum(hosts.map((host) => host.objects)),
      bytes: sum(hosts.map((host) => host.objectBytes)),
      limitBytes: sum(hosts.map((host) => host.objectLimitBytes)),
    },
    spillBytes: sum(hosts.map((host) => host.spillBytes)),
  };
}

function stateOf(state: HeadState, agent: string): string {
  const host = state.agents.get(agent);
  if (host?.phase === "away") return "away";
  return host?.isDraining ? "draining" : "ready";
}
