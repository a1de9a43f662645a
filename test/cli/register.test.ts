/** The register of processes, while many come and go. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

const discovery = new URL("../../packages/runtime/dist/head/discovery.js", import.meta.url);

const script = `
const { registerProcess } = await import(${JSON.stringify(discovery.href)});
for (let i = 0; i < 300; i++) registerProcess("worker", "x")();
`;

it("lets everybody in, also where others who leave tidy up at that moment", async () => {
  const home = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  const codes = await Promise.all(
    [1, 2, 3].map(() => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...process.env, XDG_STATE_HOME: home },
      });
      return new Promise((resolve) => child.once("exit", resolve));
    }),
  );
  expect(codes).toEqual([0, 0, 0]);
  expect(readdirSync(home)).toEqual([]);
  rmSync(home, { recursive: true });
}, 60_000);
