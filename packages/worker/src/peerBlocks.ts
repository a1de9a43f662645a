/** What a worker's fits have to do with the blocks of others. */
import type { FromAgent } from "@fascicle/transport";
import type { AgentJob } from "./agentJob.ts";
import type { DataLinkHooks } from "./dataLink.ts";
import { blockCopiesLimit } from "./limits.ts";

/** Copies of blocks that are being sent: they are beside the object memory, so only so many are made at once. */
class Copies {
  readonly #waiting: (() => void)[] = [];
  #count = 0;

  async begin(): Promise<void> {
    if (this.#count < blockCopiesLimit) this.#count++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#count--;
    else next();
  }
}

export function peerBlocks(
  jobOf: (job: string) => AgentJob | undefined,
  say: (message: FromAgent) => void,
  log: (sentence: string) => void,
): DataLinkHooks {
  const copies = new Copies();
  return {
    async serve(job, block) {
      await copies.begin();
      const bytes = await jobOf(job)
        ?.copyOfBlock(block)
        .catch(() => undefined);
      if (bytes !== undefined) return { bytes, done: () => copies.end() };
      copies.end();
      return undefined;
    },
    wanted: (job, block) => jobOf(job)?.blockState(block),
    onPiece: (job, block, offset, piece) => jobOf(job)?.storeBlock(block, offset, piece),
    say,
    log,
  };
}
