import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { OtherWork } from "./otherWork.ts";
import { endSession, sessionSeconds } from "./sessions.ts";

describe.skipIf(!existsSync("/proc/stat"))("OtherWork", () => {
  it("sees what another process takes", async () => {
    const work = new OtherWork();
    const begunMs = performance.now();
    const child = spawn(process.execPath, [
      "-e",
      "const t = Date.now(); while (Date.now() - t < 600);",
    ]);
    await once(child, "exit");
    // It had a processor for 0.6 s of that; where others wanted it too, they count as well.
    const seconds = (performance.now() - begunMs) / 1000;
    expect(work.share()).toBeGreaterThan(0.3 / seconds / cpus().length);
  });

  it("takes a session's processes for one's own, and can end them", async () => {
    const program = `require("child_process").spawn(process.execPath, ["-e", "for (;;);"]); for (;;);`;
    const leader = spawn(process.execPath, ["-e", program], { detached: true, stdio: "ignore" });
    const session = leader.pid!;
    try {
      const begunMs = performance.now();
      const all = new OtherWork();
      const others = new OtherWork(session);
      const before = sessionSeconds(session);
      await setTimeout(800);
      const used = sessionSeconds(session) - before;
      expect(used).toBeGreaterThan(0.2);
      const seconds = (performance.now() - begunMs) / 1000;
      const difference = (all.share()! - others.share()!) * cpus().length * seconds;
      expect(Math.abs(difference - used)).toBeLessThan(0.15);
    } finally {
      const exited = once(leader, "exit");
      await endSession(session);
      await exited;
    }
    expect(sessionSeconds(session)).toBe(0);
  });
});
