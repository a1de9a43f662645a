/** The image and the compose file on a real Docker Engine: what users are told to do, and what may go wrong. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { formatJoinString, newToken } from "@fascicle/transport";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { slowly } from "../support/bigFit.ts";
import { dwiOptions, fixtures, Home, sleep } from "../support/cli.ts";
import { writePlainScan } from "../support/plainScan.ts";
import { everythingIn } from "../support/spill.ts";
import { ask, baseImage, docker, Project, repository, whyNoDocker } from "./engine.ts";

const reason = whyNoDocker();
if (reason !== undefined) console.warn(`docker tests are skipped: ${reason}`);

const image = `fascicle-test:${process.pid}`;
const projectName = `fascicle-test-${process.pid}`;
const token = newToken();
// Root's files belong to others inside; anybody else runs as himself, as README.md tells.
const isRoot = process.getuid?.() === 0;
const runAs = isRoot ? [1000, 1000] : [process.getuid?.() ?? 1000, process.getgid?.() ?? 1000];

let home: Home;
let project: Project;
/** zlib differs between versions of Node: compressed maps are compared where both are the same. */
let ending = "nii";

beforeAll(async () => {
  if (reason !== undefined) return;
  home = new Home();
  mkdirSync(home.file("data", "out"), { recursive: true });
  chmodSync(home.file("data", "out"), 0o777);
  cpSync(`${fixtures}data`, home.file("data"), { recursive: true });
  writeFileSync(home.file("token.txt"), `${token}\n`, { mode: 0o600 });
  if (isRoot) chownSync(home.file("token.txt"), runAs[0], runAs[1]);
  writeFileSync(home.file("one.yaml"), "services:\n  worker:\n    cpus: 1\n");
  project = projectOf(projectName, home.file("token.txt"));
  const dockerfile = `${repository}docker/Dockerfile`;
  const built = await docker("build", "--force-rm", "-f", dockerfile, "-t", image, repository);
  if (built.code !== 0)
    throw new Error(`the image cannot be built:\n${built.stdout}${built.stderr}`);
  const major = await ask(
    "run",
    "--rm",
    "--entrypoint",
    "node",
    image,
    "-p",
    "process.versions.node",
  );
  if (major.split(".")[0] === process.versions.node.split(".")[0]) ending = "nii.gz";
}, 180_000);

afterAll(async () => {
  if (reason !== undefined) return;
  await project.run("down", "-v", "-t", "1");
  await docker("rmi", image);
  expect(await home.close()).toEqual([]);
}, 60_000);

function projectOf(name: string, tokenFile: string): Project {
  const variables = {
    IMAGE: image,
    TOKEN_FILE: tokenFile,
    DATA: home.file("data"),
    RUN_AS: runAs.join(":"),
  };
  return new Project(name, variables, [home.file("one.yaml")]);
}

/** One hash for each map and sidecar; report.json tells of the run and differs. */
function hashes(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name !== "report.json");
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(`${folder}/${name}`))
      .digest("hex");
  return Object.fromEntries(names.sort().map((name) => [name, hash(name)]));
}

async function status() {
  const { code, stdout, stderr } = await project.run(
    "exec",
    "-T",
    "head",
    "runtime",
    "status",
    "--json",
  );
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Waits until the head knows this many workers that are ready. */
async function workersReady(count: number, timeoutMs = 20_000) {
  const untilMs = Date.now() + timeoutMs;
  for (;;) {
    const now = await status();
    const ready = now.hosts.filter((host: { state: string }) => host.state === "ready").length;
    if (ready === count) return now;
    if (Date.now() > untilMs) throw new Error(`${ready} workers are ready, not ${count}`);
    await sleep(200);
  }
}

/** One of these containers that has threads at a fit now: its death must cost something. */
async function busyAmong(containers: readonly string[]): Promise<string> {
  const hostNames = await Promise.all(
    containers.map((name) => ask("inspect", "-f", "{{.Config.Hostname}}", name)),
  );
  for (let tries = 0; tries < 100; tries++) {
    const { hosts } = await status();
    const busy = hosts.find(({ busySlots }: { busySlots: number }) => busySlots > 0);
    const at = hostNames.indexOf(busy?.hostName);
    if (at >= 0) return containers[at];
  }
  throw new Error("no worker has anything to do");
}

/** The words of a CSD fit of a data set whose files share a stem; the mask and response of phantoms. */
const csd = (stem: string, volumeEnding: string) => ["csd", ...dwiOptions(stem, volumeEnding)];
const phantomOptions = (folder: string) => [
  ...["--mask", `${folder}/mask.nii.gz`],
  ...["--response", "0.0017,0.0003,0.0003,1000"],
];

/** A stranger's container on the project's network. */
const stranger = (join: string, ...words: string[]) =>
  docker(
    ...["run", "--rm", "--read-only", "--network", `${project.name}_default`],
    ...["-e", `RUNTIME_JOIN=${join}`, image, ...words],
  );

describe.skipIf(reason !== undefined)("the image", () => {
  it("adds little to its base, and is what the compose file builds", async () => {
    const bytes = async (name: string) =>
      Number(await ask("image", "inspect", "-f", "{{.Size}}", name));
    const added = (await bytes(image)) - (await bytes(baseImage));
    expect(added).toBeGreaterThan(0);
    expect(added).toBeLessThan(10e6);
    expect(await project.run("build", "head")).toMatchObject({ code: 0 });
  }, 120_000);

  it("runs as a user of no rights, on a read-only root, and without development's dependencies", async () => {
    const version = await ask(
      "run",
      "--rm",
      "--read-only",
      "--network",
      "none",
      image,
      "--version",
    );
    expect(version).toBe(JSON.parse(readFileSync(`${repository}package.json`, "utf8")).version);
    expect(await ask("run", "--rm", "--entrypoint", "id", image, "-u")).toBe("1000");
    const modules = await ask("run", "--rm", "--entrypoint", "ls", image, "/app/node_modules");
    expect(modules).toMatch(/^commander$/m);
    expect(modules).not.toMatch(/^(typescript|vitest|@biomejs)$/m);
  }, 30_000);
});

describe.skipIf(reason !== undefined)("a fit in one container", () => {
  let here: Record<string, string>;

  beforeAll(async () => {
    writePlainScan(home.file("data", "plain"), [110, 110, 64]);
    const out = home.file("local-plain");
    const words = [...dwiOptions(home.file("data", "plain"), ".nii"), "--nifti", "nii"];
    expect(await home.run(["fit", "dti", ...words, "--out", out])).toMatchObject({ code: 0 });
    here = hashes(out);
    mkdirSync(home.file("data", "spill"));
    chmodSync(home.file("data", "spill"), 0o777);
  }, 120_000);

  /** `runtime fit dti` on a root that cannot be written; maps go to `out/plain`. */
  const fitAlone = (options: readonly string[], words: readonly string[]) =>
    docker(
      ...["run", "--rm", "--read-only", "--network", "none", "-u", runAs.join(":")],
      ...["-v", `${home.file("data")}:/data`, "-w", "/data", ...options, image],
      ...["fit", "dti", ...dwiOptions("plain", ".nii"), "--nifti", "nii"],
      ...["--out", "out/plain", "--json", ...words],
    );

  it("has several hundred MB of object memory, whatever the size of /dev/shm", async () => {
    const shm = await ask(
      "run",
      "--rm",
      "--entrypoint",
      "df",
      image,
      "-m",
      "--output=size",
      "/dev/shm",
    );
    expect(shm).toMatch(/\b64$/);
    const { code, stdout, stderr } = await fitAlone([], []);
    expect(code, stderr).toBe(0);
    const { peakBytes } = JSON.parse(stdout);
    expect(peakBytes.memory).toBeGreaterThan(300e6);
    expect(peakBytes.spill).toBe(0);
    expect(hashes(home.file("data", "out", "plain"))).toEqual(here);
  }, 120_000);

  it("spills where it may write, and says so where it may not or there is no room", async () => {
    const memory = ["--object-memory", "40MiB"];
    const nowhere = await fitAlone([], memory);
    expect(nowhere.stderr).toMatch(
      /runtime: .*\/tmp cannot be used \(its file system is read-only\).*--spill-dir/,
    );
    const small = await fitAlone(["--tmpfs", "/tmp:size=8m"], memory);
    expect(small.stderr).toMatch(/runtime: .*only 8 MiB is free on the disk .*--spill-dir/);
    expect([nowhere.code, small.code]).toEqual([2, 1]);
    const { code, stdout, stderr } = await fitAlone([], [...memory, "--spill-dir", "spill"]);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout).peakBytes.spill).toBeGreaterThan(100e6);
    expect(hashes(home.file("data", "out", "plain"))).toEqual(here);
    expect(everythingIn(home.file("data", "spill"))).toEqual([]);
  }, 180_000);
});

describe.skipIf(reason !== undefined)("the compose file", () => {
  it("says which file is missing where there is no token", async () => {
    const absent = projectOf(`${projectName}-absent`, home.file("absent.txt"));
    try {
      const { code, stdout, stderr } = await absent.run("up", "-d", "--no-build", "head");
      expect(code).not.toBe(0);
      expect(stdout + stderr).toMatch(/bind source path does not exist: \S*absent\.txt/);
    } finally {
      await absent.run("down", "-v");
    }
    expect(await absent.left()).toEqual([]);
  }, 60_000);

  it("brings up three workers, each with the slots of its cgroup and not of its host", async () => {
    const up = await project.run("up", "-d", "--no-build", "--scale", "worker=3");
    expect(up, up.stderr).toMatchObject({ code: 0 });
    const { slots, hosts } = await workersReady(3);
    expect(hosts.map((host: { slots: number }) => host.slots)).toEqual([1, 1, 1]);
    expect(slots.total).toBe(3);
    // The same image without a limit has all cores.
    const join = formatJoinString({ host: "head", port: 6380, token });
    const free = stranger(join, "join");
    const now = await workersReady(4);
    const hostCores = Number(await ask("info", "-f", "{{.NCPU}}"));
    expect(now.slots.total).toBe(3 + hostCores);
    const container = await ask(
      "ps",
      "-q",
      "--filter",
      `ancestor=${image}`,
      "--filter",
      `network=${project.name}_default`,
      "--latest",
    );
    await ask("stop", "-t", "14", container);
    expect(await free).toMatchObject({ code: 0 });
    await workersReady(3);
  }, 90_000);

  it("keeps the token out of the logs", async () => {
    const { stdout, stderr } = await project.run("logs");
    expect(stdout + stderr).toMatch(/joined/);
    expect(stdout + stderr).not.toContain(token);
  }, 30_000);

  it("fits on the cluster, with the bytes of a local fit, in files of the user's own", async () => {
    const nifti = ["--nifti", ending];
    const local = home.file("local");
    const here = [...csd(`${fixtures}data/real_64dir`, ".nii"), ...nifti, "--out", local];
    expect(await home.run(["fit", ...here])).toMatchObject({ code: 0 });
    const there = [...csd("real_64dir", ".nii"), ...nifti, "--out", "out/real", "--json"];
    const ended = await project.run("run", "--rm", "-T", "fit", ...there);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(ended.stdout)).toMatchObject({ engine: "cluster", workers: 3, bytesLeft: 0 });
    const out = home.file("data", "out", "real");
    expect(Object.keys(hashes(out))).toContain(`csd_sh.${ending}`);
    expect(hashes(out)).toEqual(hashes(local));
    expect(statSync(`${out}/csd_sh.${ending}`).uid).toBe(runAs[0]);
  }, 60_000);

  it("refuses a wrong token", async () => {
    const join = formatJoinString({ host: "head", port: 6380, token: newToken() });
    for (const words of [["join"], ["status"]]) {
      const { code, stderr } = await stranger(join, ...words);
      expect(stderr).toMatch(/refused: the token is not this head's/);
      expect(code).toBe(3);
    }
    expect((await status()).hosts).toHaveLength(3);
  }, 30_000);

  it("loses a worker's container in the middle of a fit, and no byte of the maps", async () => {
    const made = ["--size", "40,40,24", "--scheme", "64dir"];
    const folder = home.file("data", "phantom");
    expect(await home.run(["phantom", "--out", folder, ...made])).toMatchObject({ code: 0 });
    const options = [...slowly, "--nifti", ending];
    const local = home.file("local-phantom");
    const here = [...csd(`${folder}/dwi`, ".nii.gz"), ...phantomOptions(folder), ...options];
    expect(await home.run(["fit", ...here, "--out", local])).toMatchObject({ code: 0 });
    const there = [...csd("phantom/dwi", ".nii.gz"), ...phantomOptions("phantom"), ...options];
    // A share of a core makes the fit long enough to strike in its middle, however fast the machine is.
    const workers = await project.containers("worker");
    await ask("update", "--cpus", "0.1", ...workers);
    const fit = project.start(
      ...["run", "--rm", "-T", "fit", ...there, "--out", "out/phantom"],
      ...["--chunks", "64", "--json"],
    );
    await fit.saw(/fitting csd: [1-9]/, 60_000);
    const victim = await busyAmong(workers);
    await ask("kill", "-s", "KILL", victim);
    await ask("update", "--cpus", "1", ...workers.filter((name) => name !== victim));
    const { code, stdout, stderr } = await fit.ended;
    expect(code, stderr).toBe(0);
    expect(await ask("inspect", "-f", "{{.State.ExitCode}}", victim)).toBe("137");
    // What it had was given to others when it was known for dead, or copied to them before.
    expect(JSON.parse(stdout).attempts.run).toBeGreaterThan(64);
    expect(hashes(home.file("data", "out", "phantom"))).toEqual(hashes(local));
    await workersReady(2);
  }, 240_000);

  it("stops in good order, and down leaves nothing", async () => {
    const names = [...(await project.containers("head")), ...(await project.containers("worker"))];
    expect(names).toHaveLength(4);
    const begunMs = Date.now();
    expect(await project.run("stop", "-t", "20")).toMatchObject({ code: 0 });
    expect(Date.now() - begunMs).toBeLessThan(15_000);
    const codes = await ask("inspect", "-f", "{{.State.ExitCode}}", ...names);
    expect(codes.split("\n").sort()).toEqual(["0", "0", "0", "137"]);
    expect(await project.run("down", "-v")).toMatchObject({ code: 0 });
    expect(await project.left()).toEqual([]);
  }, 60_000);
});
