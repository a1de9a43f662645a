/** Scenarios as files: those in which something was found are kept, and stay as they are when seeds come to mean others. */
import type { MapRequest } from "@fascicle/core";
import { type Fate, JobPlan } from "./plan.ts";
import type { DriverAction, Scenario } from "./scenario.ts";

/** A file of the folder `kept`. */
export interface KeptScenario {
  /** What it found, for those who read the folder. */
  readonly found: string;
  readonly scenario: unknown;
}

interface PlanRecord {
  readonly index: number;
  readonly request: MapRequest;
  readonly meanChunkMs: number;
  readonly spread: number;
  readonly bytesPerChunk: number;
  readonly windowBytes: number;
  readonly fates: readonly (readonly [number, Fate])[];
}

/** Plain values, for JSON. */
export function scenarioRecord(scenario: Scenario): unknown {
  const drivers = scenario.drivers.map(({ actions, storeMs }) => ({
    storeMs,
    actions: actions.map((action) => {
      if (action.kind !== "submit") return action;
      const { fields } = action.plan;
      return { ...action, plan: { ...fields, fates: [...fields.fates] } };
    }),
  }));
  return { ...scenario, drivers };
}

export function scenarioFrom(record: unknown): Scenario {
  const scenario = record as Scenario;
  const drivers = scenario.drivers.map(({ actions, storeMs }) => ({
    storeMs,
    actions: actions.map((action): DriverAction => {
      if (action.kind !== "submit") return action;
      const plan = action.plan as unknown as PlanRecord;
      return { ...action, plan: new JobPlan({ ...plan, fates: new Map(plan.fates) }) };
    }),
  }));
  return { ...scenario, drivers };
}
