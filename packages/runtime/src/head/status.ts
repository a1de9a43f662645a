/** What the head tells about itself: to `runtime status`, and to drivers about who works for them. */
import type { HeadState, JobState } from "@fascicle/core";
import type { ClusterStatus, HostInfo, Session } from "@fascicle/transport";
import type { HeadJob } from "./jobs.ts";

/** What the head keeps of a worker beside the scheduler's entry. */
export interface AgentRecord {
  readonly session: Session;
  readonly host: HostInfo;
  /** What it proves by that it is the same worker when it comes back under another name. */
  readonly key: string;
  readonly busySlots: Map<string, number>;
  objectBytes: number;
  objects: number;
}

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
  const hosts = agents.map((record) => ({
    ...record.host,
    busySlots: Math.min(record.host.slots, sum(record.busySlots.values())),
    objectBytes: record.objectBytes,
    state: stateOf(state, record.host.agent),
  }));
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
      count: sum(agents.map((record) => record.objects)),
      bytes: sum(agents.map((record) => record.objectBytes)),
    },
    spillBytes: 0,
  };
}

function stateOf(state: HeadState, agent: string): string {
  const host = state.agents.get(agent);
  if (host?.phase === "away") return "away";
  return host?.isDraining ? "draining" : "ready";
}
