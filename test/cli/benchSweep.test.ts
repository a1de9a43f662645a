/** `runtime bench sweep` as a process: its files, its words, what an interrupt leaves. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { filesBelow, Home, processesWith, sleep } from "../support/cli.ts";

const home = new Home();
afterAll(async () => {
  expect(await home.close()).toEqual([]);
});

const sweep = ["bench", "sweep", "--models", "csd", "--voxels", "60"] as const;
const few = ["--min-chunks", "2", "--max-chunks", "6", "--workers", "1,2", "--runs", "2"] as const;
const out = home.file("swept");
const rowsOf = (path: string) => readFileSync(`${path}/sweep.csv`, "utf8").trim().split("\n");

describe("runtime bench sweep", () => {
  it("runs each point once a round, and writes table, record, page and picture", async () => {
    const ended = await home.run([...sweep, ...few, "--out", out, "--json"]);
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/order from seed 1/);
    expect(ended.stderr).toMatch(/csd with 64 chunks is left out: more than its voxels/);
    const record = JSON.parse(ended.stdout);
    // 4 chunk counts on 1 and 2 workers, and the baseline.
    expect(record.runs).toHaveLength(2 * (4 * 2 + 1));
    const [summary] = record.summary;
    expect(summary.series.map((series: { workers: number }) => series.workers)).toEqual([1, 2]);
    expect(readdirSync(out).sort()).toEqual([
      "speedup.svg",
      "sweep.csv",
      "sweep.html",
      "sweep.json",
    ]);
    const [header, ...rows] = rowsOf(out);
    expect(header).toBe("model,engine,workers,chunks,round,seconds,voxels,others");
    for (const round of ["1", "2"]) {
      const points = rows
        .map((row) => row.split(","))
        .filter((row) => row[4] === round)
        .map((row) => row.slice(0, 4).join(","));
      expect(points).toHaveLength(9);
      expect(new Set(points).size).toBe(9);
      expect(points).toContain("csd,serial,1,1");
      expect(points).toContain("csd,local,2,32");
    }
  });

  it("adds rounds of the same settings and no others, and draws the page again", async () => {
    const more = await home.run([...sweep, ...few, "--out", out, "--continue"]);
    expect(more.code).toBe(0);
    expect(more.stdout).toMatch(/Fascicle +2 +\d+ +[\d.]+( ± [\d.]+)? s/);
    expect(rowsOf(out)).toHaveLength(1 + 4 * 9);
    const other = await home.run([...sweep, "--max-chunks", "3", "--out", out, "--continue"]);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/cannot be continued: it differs in .*maxChunks/);
    const page = readFileSync(`${out}/sweep.html`, "utf8");
    expect((await home.run(["bench", "sweep", "--page-only", "--out", out])).code).toBe(0);
    expect(readFileSync(`${out}/sweep.html`, "utf8") === page).toBe(true);
    expect(rowsOf(out)).toHaveLength(1 + 4 * 9);
  });

  it("keeps, at Ctrl-C, the runs that ended, and nothing where there is none", async () => {
    const kept = home.file("kept", "deep");
    const running = home.start([...sweep, ...few, "--runs", "1000", "--out", kept]);
    while (!existsSync(`${kept}/sweep.csv`) || rowsOf(kept).length < 3) await sleep(5);
    const untilThen = JSON.parse(readFileSync(`${kept}/sweep.json`, "utf8"));
    expect(untilThen.runs.length).toBeGreaterThan(0);
    running.signal("SIGINT");
    const ended = await running.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toMatch(/runs and the page are in .*--continue adds to them/);
    const { runs } = JSON.parse(readFileSync(`${kept}/sweep.json`, "utf8"));
    expect(runs).toHaveLength(rowsOf(kept).length - 1);
    expect(existsSync(`${kept}/sweep.html`)).toBe(true);

    const none = home.file("none", "deep");
    const early = home.start(["bench", "sweep", "--voxels", "100000", "--out", none]);
    await early.saw(/making a phantom/);
    early.signal("SIGINT");
    expect(await early.ended).toMatchObject({ code: 130, stdout: "" });
    expect(existsSync(home.file("none"))).toBe(false);
  });

  it("runs on the slots of a cluster, and no more than there are", async () => {
    const { head, join } = await home.head("--cpus", "2");
    const joined = ["--join", join, "--out", home.file("cluster")];
    await head.saw(/worker .* joined|joined/i).catch(() => undefined);
    const words = [...sweep, "--min-chunks", "1", "--max-chunks", "3", "--runs", "1", ...joined];
    const ended = await home.run([...words, "--json"]);
    expect(ended.code).toBe(0);
    const { engine, hosts, workers, runs } = JSON.parse(ended.stdout);
    expect({ engine, workers }).toEqual({ engine: "cluster", workers: [1, 2] });
    expect(hosts).toMatchObject([{ slots: 2 }]);
    expect(runs.filter((run: { engine: string }) => run.engine === "cluster")).toHaveLength(6);
    const more = await home.run([...words, "--workers", "3"]);
    expect(more.code).toBe(2);
    expect(more.stderr).toMatch(/has 2 slots, and --workers asks for 3/);
    await home.run(["stop"]);
  });

  const python = process.env.RAY_PYTHON;
  it.skipIf(python === undefined)(
    "measures DIPY on Ray beside it, and leaves none of it, even after Ctrl-C (skips without RAY_PYTHON)",
    { timeout: 120_000 },
    async () => {
      const beside = home.file("beside");
      const ofRay = () => readdirSync("/tmp").filter((name) => name.startsWith("fascicle-ray-"));
      const before = ofRay();
      const words = [...sweep, "--max-chunks", "3", "--runs", "1", "--peer", "dipy-ray"];
      const ended = await home.run([...words, "--out", beside]);
      expect(ended.code).toBe(0);
      expect(ended.stdout).toMatch(/DIPY on Ray, here +2/);
      expect(rowsOf(beside).filter((row) => row.includes("dipy-ray"))).toHaveLength(6);
      const running = home.start([...words, "--runs", "1000", "--out", beside]);
      await running.saw(/round \d+ of 1000/, 60_000);
      await sleep(1000);
      running.signal("SIGINT");
      expect((await running.ended).code).toBe(130);
      expect([...filesBelow(home.scratch), ...ofRay()]).toEqual(before);
      expect(processesWith(home.path)).toEqual([]);
    },
  );

  it("says in a sentence what is wrong with its options, before anything is made", async () => {
    const cases: [string[], RegExp][] = [
      [["--min-chunks", "5", "--max-chunks", "4"], /--min-chunks 5 is more than --max-chunks 4/],
      [["--workers", "0"], /whole numbers of at least 1/],
      [["--workers", "1,,2"], /whole numbers of at least 1/],
      [["--models", "sfm"], /Allowed choices are csd, freewater/],
      [
        ["--models", "csd", "--voxels", "10", "--min-chunks", "4"],
        /more than the voxels there are/,
      ],
      [["--dwi", "scan.nii"], /--dwi, --bval and --bvec together/],
      [["--dwi", "scan.nii", "--voxels", "9"], /--voxels is for the phantom/],
      [["--peer", "dipy-ray", "--python", "/nowhere/python"], /needs DIPY and Ray in .*not there/],
      [["--peer-max-chunks", "3"], /needs --peer dipy-ray/],
      [["--page-only"], /sweep.json cannot be read \(it does not exist\)/],
      [["--voxels", "1000000000000"], /of memory/],
    ];
    for (const [words, reason] of cases) {
      const wrong = home.file("wrong");
      const { code, stdout, stderr } = await home.run(["bench", "sweep", ...words, "--out", wrong]);
      expect({ words, code, stdout }).toEqual({ words, code: 2, stdout: "" });
      expect(stderr).toMatch(reason);
      expect(existsSync(wrong)).toBe(false);
    }
  });
});
