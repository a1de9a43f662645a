/** `runtime stop`. */
import { stateOfOwner } from "@fascicle/object-store";
import type { Command } from "commander";
import { FitError } from "../errors.ts";
import { listProcesses, type ProcessRecord } from "../head/discovery.ts";

/** A worker finishes what it has begun for up to 10 s; then it is ended. */
const patienceMs = 13_000;

export function addStopCommand(program: Command): void {
  program
    .command("stop")
    .description("stop the heads and workers that you started on this host, and nothing else")
    .action(async () => {
      const processes = listProcesses();
      if (processes.length === 0) {
        process.stdout.write("nothing of yours runs on this host\n");
        return;
      }
      // Workers first: they hand back what they have not begun.
      const order = [...processes].sort((a, b) => b.kind.localeCompare(a.kind));
      for (const record of order) signal(record, "SIGTERM");
      const left = await waitForEnd(order, patienceMs);
      for (const record of left) signal(record, "SIGKILL");
      const stubborn = await waitForEnd(left, 3_000);
      listProcesses();
      if (stubborn.length > 0) {
        const pids = stubborn.map((record) => record.owner.pid).join(", ");
        throw new FitError(`These processes do not end: ${pids}.`);
      }
      for (const { kind, owner } of order)
        process.stdout.write(`stopped ${kind} (pid ${owner.pid})\n`);
    });
}

function signal({ owner }: ProcessRecord, name: NodeJS.Signals): void {
  if (stateOfOwner(owner) !== "alive") return;
  try {
    process.kill(owner.pid, name);
  } catch {
    // It ended in between.
  }
}

/** Resolves with those that are still alive when time is up. */
async function waitForEnd(
  records: readonly ProcessRecord[],
  timeoutMs: number,
): Promise<ProcessRecord[]> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const left = records.filter(({ owner }) => stateOfOwner(owner) === "alive");
    if (left.length === 0 || performance.now() > untilMs) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
