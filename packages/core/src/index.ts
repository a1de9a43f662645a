export * from "./agent/events.ts";
export {
  type AgentJobState,
  type AgentState as AgentMachineState,
  checkAgentInvariants,
  emptyAgentState,
  heldJobs,
} from "./agent/state.ts";
export * from "./agent/step.ts";
export * from "./chunks.ts";
export * from "./counted.ts";
export * from "./detector/detector.ts";
export * from "./fairShare.ts";
export * from "./givenUp.ts";
export * from "./head/events.ts";
export * from "./head/invariants.ts";
export * from "./head/limits.ts";
export * from "./head/state.ts";
export * from "./head/step.ts";
export * from "./head/why.ts";
export * from "./model.ts";
export * from "./rangeSet.ts";
export * from "./session/events.ts";
export * from "./session/frameQueue.ts";
export * from "./session/state.ts";
export * from "./session/step.ts";
export * from "./session/versions.ts";
export * from "./store/pages.ts";
export * from "./store/planner.ts";
export * from "./store/waiting.ts";
export * from "./story.ts";
export * from "./transfer/events.ts";
export * from "./transfer/state.ts";
export * from "./transfer/step.ts";
export * from "./transitions.ts";
