/** Workers that see the scan's file read it themselves, if it is the very same; else the driver sends what they need. */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bigVolume, hashes } from "../support/bigFit.ts";
import { Home } from "../support/cli.ts";

let home: Home;
beforeEach(() => {
  home = new Home();
});
afterEach(async () => expect(await home.close()).toEqual([]));

describe("a volume on a file system that workers share with the driver", () => {
  it("is read by each worker itself, in place or inflated, within little memory", async () => {
    const data = await bigVolume(home);
    const zipped = data[data.indexOf("--dwi") + 1];
    const plain = home.file("plain.nii");
    writeFileSync(plain, gunzipSync(readFileSync(zipped)));
    const plainData = data.map((word) => (word === zipped ? plain : word));
    const { join } = await home.head("--cpus", "0");
    const small = ["--object-memory", "8MiB", "--spill-dir", home.scratch];
    const workers = [1, 2].map(() => home.start(["join", join, "--cpus", "1", ...small]));
    await Promise.all(workers.map((worker) => worker.saw(/joined/)));
    const mapsOf = async (name: string, words: string[]) => {
      const out = home.file(name);
      const ended = await home.run(["fit", "csd", ...words, "--chunks", "200", "--out", out]);
      expect(ended).toMatchObject({ code: 0 });
      return hashes(out);
    };
    const sent = await mapsOf("sent", [...data, "--join", join, "--send-volume"]);
    for (const worker of workers) expect(worker.stderr).not.toMatch(/from the file/);
    expect(await mapsOf("zipped", [...data, "--join", join])).toEqual(sent);
    for (const worker of workers)
      expect(worker.stderr).toMatch(/from the file that its driver has/);
    const read = await mapsOf("plain", [...plainData, "--join", join]);
    // The sidecars name the file, the maps do not.
    const maps = (found: Record<string, string>) =>
      Object.entries(found).filter(([name]) => name.endsWith(".nii.gz"));
    expect(maps(read)).toEqual(maps(sent));
    for (const worker of workers) {
      expect(worker.stderr.match(/from the file that its driver has/g)).toHaveLength(2);
    }
  }, 120_000);

  it("is not read where another file has come to lie there", async () => {
    const data = await bigVolume(home);
    const dwi = data[data.indexOf("--dwi") + 1];
    const { join } = await home.head("--cpus", "0");
    const out = home.file("out");
    const fit = home.start(["fit", "csd", ...data, "--join", join, "--out", out]);
    await fit.saw(/waiting for a worker to join/);
    copyFileSync(dwi, `${dwi}.copy`);
    renameSync(`${dwi}.copy`, dwi);
    const worker = home.start(["join", join, "--cpus", "2"]);
    expect(await fit.ended).toMatchObject({ code: 0 });
    expect(worker.stderr).toMatch(/takes the signals of fit \S+ from its driver: /);
    const local = home.file("local");
    await home.run(["fit", "csd", ...data, "--out", local, "--engine", "local"]);
    expect(hashes(out)).toEqual(hashes(local));
  }, 120_000);
});
