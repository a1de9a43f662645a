// Spill and restore beside plain sequential writes and reads, for objects.mjs: the same parts, files and calls to the disk.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlabPool, SpillSpace } from "@fascicle/object-store";

/** Nobody ever waits in these; nothing is synchronised on either side, as it is with files that do not outlive their process. */
export class DiskBench {
  #directory = mkdtempSync(join(process.env.BENCH_DIRECTORY ?? tmpdir(), "fascicle-bench-"));
  #pool = new SlabPool();
  #parts;
  #into;
  #fileCount = 0;

  constructor(partBytes, partCount) {
    const slabs = Array.from({ length: 2 * partCount }, () => this.#pool.take(partBytes));
    const arrays = slabs.map(({ buffer, bytes }) => new Uint8Array(buffer, 0, bytes));
    for (const [n, array] of arrays.entries()) array.fill(n + 1);
    this.#parts = arrays.slice(0, partCount);
    this.#into = arrays.slice(partCount);
  }

  get bytes() {
    return this.#parts.reduce((sum, { length }) => sum + length, 0);
  }

  end() {
    rmSync(this.#directory, { recursive: true });
  }

  /** Bytes a second and the longest time for which nothing else ran: writing, reading from memory, reading from the disk. */
  async plain() {
    const handle = await open(join(this.#directory, `plain${++this.#fileCount}`), "w+");
    const write = await this.#measured(async () => {
      let at = 0;
      for (const part of this.#parts) {
        const { bytesWritten } = await handle.write(part, 0, part.length, at);
        if (bytesWritten !== part.length) throw new Error("short write");
        at += part.length;
      }
    });
    const readAll = async () => {
      let at = 0;
      for (const part of this.#into) {
        const { bytesRead } = await handle.read(part, 0, part.length, at);
        if (bytesRead !== part.length) throw new Error("short read");
        at += part.length;
      }
    };
    const warm = await this.#measured(readAll);
    const cold = dropCaches() ? await this.#measured(readAll) : undefined;
    await handle.close();
    rmSync(join(this.#directory, `plain${this.#fileCount}`));
    return { write, warm, cold };
  }

  async spilled() {
    const space = new SpillSpace({ directory: async () => this.#directory, limitBytes: 2 ** 40 });
    const file = await space.create("bench");
    const pieces = [];
    const write = await this.#measured(async () => {
      for (const part of this.#parts) pieces.push(...(await file.write([part])));
    });
    const readAll = async () => {
      for (const [n, part] of this.#into.entries()) await file.read(pieces[n], part);
    };
    const warm = await this.#measured(readAll);
    const cold = dropCaches() ? await this.#measured(readAll) : undefined;
    await space.close();
    return { write, warm, cold };
  }

  async #measured(work) {
    const ticks = new Ticks();
    const begunMs = performance.now();
    await work();
    const seconds = (performance.now() - begunMs) / 1000;
    return { rate: this.bytes / seconds, ...ticks.end() };
  }
}

/** For how long nothing else ran in this thread: by the clock, and of that on a processor, which other programs do not lengthen. */
class Ticks {
  #lastMs = performance.now();
  #lastProcessorMs = processorMs();
  #blockedMs = 0;
  #blockedProcessorMs = 0;
  #timer = setInterval(() => this.#tick(), 1);

  end() {
    clearInterval(this.#timer);
    this.#tick();
    return { blockedMs: this.#blockedMs, blockedProcessorMs: this.#blockedProcessorMs };
  }

  #tick() {
    const nowMs = performance.now();
    const nowProcessorMs = processorMs();
    // The timer itself waits for a millisecond.
    this.#blockedMs = Math.max(this.#blockedMs, nowMs - this.#lastMs - 1);
    const onProcessorMs = nowProcessorMs - this.#lastProcessorMs;
    this.#blockedProcessorMs = Math.max(this.#blockedProcessorMs, onProcessorMs);
    this.#lastMs = nowMs;
    this.#lastProcessorMs = nowProcessorMs;
  }
}

/** Processor time of the main thread; NaN where the system does not tell. */
function processorMs() {
  try {
    return Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

/** So that reads come from the disk; false where this user may not. */
function dropCaches() {
  spawnSync("sync");
  try {
    writeFileSync("/proc/sys/vm/drop_caches", "1");
    return true;
  } catch {
    return false;
  }
}
