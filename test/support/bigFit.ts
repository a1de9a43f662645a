/** A fit that takes a few seconds, so that something can happen in the middle, and what it must give. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { dwiOptions, type Home } from "./cli.ts";

/** One hash for each map and sidecar; report.json tells of the run and differs. */
export function hashes(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name !== "report.json");
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(`${folder}/${name}`))
      .digest("hex");
  return Object.fromEntries(names.sort().map((name) => [name, hash(name)]));
}

/**
 * Options of a CSD fit that takes its time: without a threshold a third of the voxels never come to rest, so that
 * each voxel takes twelve iterations where it usually takes five.
 */
export const slowly = ["--tau", "0", "--iterations", "25"];

/** Words for a CSD fit of a phantom that is made in this home. */
export async function bigVolume(home: Home): Promise<string[]> {
  const folder = home.file("phantom");
  const size = ["--size", "64,64,40", "--scheme", "64dir"];
  const made = await home.run(["phantom", "--out", folder, ...size]);
  expect(made).toMatchObject({ code: 0 });
  return [
    ...dwiOptions(`${folder}/dwi`),
    "--mask",
    `${folder}/mask.nii.gz`,
    "--response",
    "0.0017,0.0003,0.0003,1000",
    ...slowly,
  ];
}
