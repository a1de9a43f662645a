/** Everything that can go wrong in the simulated cluster. */
export const faultKinds = [
  "threadCrash",
  "hostKill",
  "hostLost",
  "hostPause",
  "hostDrain",
  "memoryOut",
  "actorCrash",
  "cut",
  "halfOpen",
  "stall",
  "partition",
  "headKill",
  "headPause",
  "driverKill",
  "driverPause",
  "driverSlow",
  "clockStep",
  "diskSlow",
  "diskFull",
  "staleWord",
  "executorOut",
  "kernelFails",
  "hostSessionLost",
  "driverSessionLost",
] as const;

export type FaultKind = (typeof faultKinds)[number];

/** Of each kind, so many per minute. */
export type FaultRates = Readonly<Partial<Record<FaultKind, number>>>;
