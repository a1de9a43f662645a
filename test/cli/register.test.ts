/** The register of processes, while many come and go. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
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

it("loses what a process that was killed while it wrote its entry left, and not what is being written", async () => {
  const home = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  const folder = join(home, "fascicle", "processes");
  mkdirSync(folder, { recursive: true });
  for (const name of ["head-1-a.json.1.tmp", "head-2-b.json.2.tmp"])
    writeFileSync(join(folder, name), "{");
  utimesSync(join(folder, "head-1-a.json.1.tmp"), 1_000_000, 1_000_000);
  const list = `(await import(${JSON.stringify(discovery.href)})).listProcesses();`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", list], {
    env: { ...process.env, XDG_STATE_HOME: home },
  });
  expect(ran.status).toBe(0);
  expect(readdirSync(folder)).toEqual(["head-2-b.json.2.tmp"]);
  rmSync(home, { recursive: true });
});
