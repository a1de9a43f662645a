import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { describe, expect, it } from "vitest";
import { OtherWork } from "./otherWork.ts";

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
});
