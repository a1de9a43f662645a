import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blockVoxelsFor, currentOwner } from "@fascicle/object-store";
import { dial, encodeValue, newToken } from "@fascicle/transport";
import { afterEach, beforeEach, expect, it } from "vitest";
import { HeadJournal } from "../ledger/headJournal.ts";
import { Head } from "./head.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fascicle-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const spec = {
  job: "a fit",
  model: "sums",
  voxelCount: 100,
  chunkCount: 10,
  signals: {
    width: 2,
    dtype: "float32",
    blockVoxels: blockVoxelsFor({ voxelCount: 100, width: 2, dtype: "float32" }),
  },
  outputs: [{ name: "sum", width: 1, dtype: "float64", units: "1" }],
  kernel: { module: "m", name: "sums", hash: "h" },
};

const openJournal = (directory: string) =>
  HeadJournal.open(directory, {
    nowMs: 1,
    onError: (error) => {
      throw error;
    },
  });

it("a head that is killed leaves to the next one what a resumed fit brought with it", async () => {
  const { journal } = await openJournal(folder);
  const token = newToken();
  const head = await Head.start({ host: "127.0.0.1", port: 0, token, journal, log: () => {} });
  const driver = await dial({ host: "127.0.0.1", port: head.port, token }, "client");
  const answered = new Promise((resolve) =>
    driver.start({ onMessage: resolve, onClose: () => {} }),
  );
  const settled = [{ start: 0, end: 9 }];
  const message = { type: "submit", spec, settled, key: newToken(), owner: currentOwner() };
  driver.send(message, encodeValue({}));
  await answered;
  await journal.flushed();
  const left = mkdtempSync(join(folder, "left-"));
  cpSync(join(folder, "journal"), join(left, "journal"));
  driver.close("done");
  await head.stop();
  const { journal: next, jobs } = await openJournal(left);
  expect(jobs.map((job) => job.settled.ranges())).toEqual([settled]);
  await next.close();
});
