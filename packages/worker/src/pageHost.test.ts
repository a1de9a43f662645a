import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlabPool, SpillSpace } from "@fascicle/object-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PageHost } from "./pageHost.ts";
import { ThreadPool } from "./threadPool.ts";

const pageBytes = 100_000;
const owner = "fit/1";
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "fascicle-test-pages-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const block = (id: number) => ({ id, bytes: pageBytes, isScratch: false });
const spillFile = () => join(directory, readdirSync(directory)[0]);

/** A host with memory for two pages and a disk for the rest; page n holds n + 1 everywhere. */
function smallHost() {
  const said: string[] = [];
  const loads: number[] = [];
  const space = new SpillSpace({
    directory: async () => directory,
    limitBytes: 10 * pageBytes,
    freeFloorBytes: 0,
  });
  const slabs = new SlabPool(2 * pageBytes);
  const log = (sentence: string) => said.push(sentence);
  const host = new PageHost({ slabs, pool: new ThreadPool(), spill: space, log });
  const granted = new Map<number, () => void>();
  host.open(owner, pageBytes, () => pageBytes, {
    load: async (page, into) => {
      loads.push(page);
      into.fill(page + 1);
    },
    granted: (request) => granted.get(request)?.(),
    gone: () => {},
    failed: (error) => said.push(`failed: ${error.message}`),
  });
  let requests = 0;
  /** Has a page come, gives its bytes and lets go of it again. */
  const look = async (id: number) => {
    const request = requests++;
    const here = new Promise<void>((resolve) => granted.set(request, resolve));
    host.want(owner, request, [block(id)]);
    await here;
    const bytes = new Uint8Array(host.slabOf(owner, id).buffer, 0, pageBytes).slice();
    host.release(owner, request, [id]);
    return bytes;
  };
  const close = async () => {
    await host.close(owner);
    await space.close();
    return { files: existsSync(directory) ? readdirSync(directory) : [], used: slabs.usedBytes };
  };
  return { host, look, loads, said, close };
}

const isAll = (bytes: Uint8Array, value: number) => bytes.every((byte) => byte === value);

/** Writes over the middle of all that is in a spill file. */
function change(path: string): void {
  const file = openSync(path, "r+");
  for (let at = pageBytes / 2; at < 4 * pageBytes; at += pageBytes) {
    writeSync(file, Buffer.of(99), 0, 1, at);
  }
}

describe("blocks that had to leave memory", () => {
  it("come back from disk, and their source is not asked twice", async () => {
    const { look, loads, said, close } = smallHost();
    for (const id of [0, 1, 2, 3, 0, 1]) expect(isAll(await look(id), id + 1)).toBe(true);
    expect([loads, said]).toEqual([[0, 1, 2, 3], []]);
    expect(await close()).toEqual({ files: [], used: 0 });
  });

  for (const [what, harm] of [
    ["changed", change],
    ["cut short", (path: string) => truncateSync(path, 10)],
  ] as const) {
    it(`come from their source again where their file was ${what}, which is told`, async () => {
      const { host, look, loads, said, close } = smallHost();
      for (const id of [0, 1, 2, 3]) await look(id);
      harm(spillFile());
      await expect(host.copyOf(owner, 0)).rejects.toMatchObject({ code: "SPILL_DAMAGED" });
      expect(isAll(await look(0), 1)).toBe(true);
      expect(loads).toEqual([0, 1, 2, 3, 0]);
      expect(said).toEqual([
        expect.stringMatching(/^a block of fit .* comes from its source again: /),
      ]);
      expect(await close()).toEqual({ files: [], used: 0 });
    });
  }

  it("come from their source again where their file was removed, and go to disk no more", async () => {
    const { look, loads, said, close } = smallHost();
    for (const id of [0, 1, 2]) await look(id);
    rmSync(spillFile());
    // The first copy is in a file without a name, which can still be read; nothing more is written to it.
    for (const id of [3, 0, 1, 2, 3]) expect(isAll(await look(id), id + 1)).toBe(true);
    expect(loads.length).toBeGreaterThan(4);
    expect(said).toEqual([expect.stringMatching(/spills no more: .* it was removed meanwhile/)]);
    expect(await close()).toEqual({ files: [], used: 0 });
  });
});
