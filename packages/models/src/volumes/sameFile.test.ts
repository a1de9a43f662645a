import { execFileSync } from "node:child_process";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { temporaryDirectory } from "../io/testing.ts";
import type { VolumeParameters } from "./parameters.ts";
import { SameFile } from "./sameFile.ts";

describe("a file that a driver names", () => {
  it("is not opened where it is none: opening a device may do something", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "dwi.nii");
    execFileSync("mkfifo", [path]);
    // Opening a pipe does something, too: it lets go of who waits to write to it.
    let isOpened = false;
    const writer = open(path, constants.O_WRONLY).then((handle) => {
      isOpened = true;
      return handle.close();
    });
    await sleep(200);
    const parameters = { path, sizeBytes: 0, mtimeNs: "0" } as VolumeParameters;
    await expect(SameFile.open(parameters)).rejects.toMatchObject({
      code: "ORIGIN",
      message: `"${path}" is not a regular file on this host.`,
    });
    await sleep(200);
    expect(isOpened).toBe(false);
    await (await open(path, constants.O_RDONLY | constants.O_NONBLOCK)).close();
    await writer;
  });
});
