/** Files of signals that this host shares with a driver: opened by the modules that may, one after the other. */
import type { OpenedRows, ScratchSpace, VolumeModule, VolumeOrigin } from "@fascicle/core";
import { fileMemory } from "./limits.ts";
import { reasonOf } from "./threadMessages.ts";

/** A file that is being opened: with undefined, this host does not have it. */
export interface SharedFile {
  readonly rows: Promise<OpenedRows | undefined>;
  readonly stop: AbortController;
}

export interface SharedFilesOptions {
  /** The modules that read volumes, by the name that drivers give: name to URL. */
  readonly modules: ReadonlyMap<string, string>;
  /** Where what has to be inflated goes. */
  readonly scratch: ScratchSpace;
  readonly objectMemoryBytes: number;
  log(sentence: string): void;
}

export class SharedFiles {
  readonly #options: SharedFilesOptions;
  /** A path on a file system that is gone holds one of the few threads for files: never more than one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SharedFilesOptions) {
    this.#options = options;
  }

  /** Undefined where nobody says of a file, or this host may not read it. */
  open(job: string, origin: VolumeOrigin | undefined): SharedFile | undefined {
    const url = this.#options.modules.get(origin?.module ?? "");
    if (origin === undefined || url === undefined) return undefined;
    const stop = new AbortController();
    const rows = this.#last.then(() => this.#open(job, url, origin.parameters, stop.signal));
    this.#last = rows;
    return { stop, rows };
  }

  async #open(
    job: string,
    url: string,
    parameters: unknown,
    signal: AbortSignal,
  ): Promise<OpenedRows | undefined> {
    if (signal.aborted) return undefined;
    const { log, scratch, objectMemoryBytes } = this.#options;
    const memoryBytes = Math.min(fileMemory.bytesLimit, objectMemoryBytes * fileMemory.share);
    try {
      const module = (await import(url)) as VolumeModule;
      const rows = await module.openRows(parameters, { scratch, memoryBytes }, signal);
      log(`reads the signals of fit ${job} from the file that its driver has`);
      return rows;
    } catch (error) {
      if (!signal.aborted) {
        log(`takes the signals of fit ${job} from its driver: ${reasonOf(error).slice(0, 1_000)}`);
      }
      return undefined;
    }
  }
}
