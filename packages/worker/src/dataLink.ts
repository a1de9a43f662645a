/** Blocks of signals between workers: this one's data port, and what it gets from those of others. */
import {
  type DataAddress,
  DataClient,
  DataServer,
  type FromAgent,
  type OpenBlock,
  PullError,
  type ToAgent,
} from "@fascicle/transport";

export interface DataLinkHooks {
  /** A block that another worker asks for; undefined where it is not here whole. `done` is called once it is sent. */
  serve(job: string, block: number): Promise<OpenBlock | undefined>;
  /** What is known of a block: its length, and up to which byte it came; undefined where it is not wanted. */
  wanted(
    job: string,
    block: number,
  ): { readonly bytes: number; readonly offset: number } | "here" | undefined;
  /** A piece that was asked for, in order; its memory is the receiver's. What it throws ends the pull. */
  onPiece(job: string, block: number, offset: number, piece: Uint8Array): void;
  say(message: FromAgent): void;
  log(sentence: string): void;
}

/** The data port that was asked for cannot be had. */
export class DataPortError extends Error {
  readonly code = "DATA_PORT";
  override readonly name = "DataPortError";

  static of(host: string, port: number, error: unknown): DataPortError {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "it is in use" : reasonOf(error);
    return new DataPortError(
      `The data port ${port} cannot be opened on ${host} (${why}): give another with --data-port, or leave it out.`,
    );
  }
}

type BlockAt = Extract<ToAgent, { type: "blockAt" }>;
type BlockLost = Extract<ToAgent, { type: "blockLost" }>;

interface Pull {
  readonly message: BlockAt;
  readonly stop: AbortController;
}

export class DataLink {
  readonly #token: string;
  readonly #port: number;
  readonly #hooks: DataLinkHooks;
  readonly #client: DataClient;
  readonly #pulls = new Map<string, Pull>();
  #server: DataServer | undefined;
  #host = "";

  /** Listens on `port` (0: one that the system chooses). */
  constructor(token: string, hooks: DataLinkHooks, port = 0) {
    this.#token = token;
    this.#port = port;
    this.#hooks = hooks;
    this.#client = new DataClient({ token });
  }

  /** Where others find this worker; undefined where it cannot be asked. */
  get address(): DataAddress | undefined {
    return this.#server && { host: this.#host, port: this.#server.port };
  }

  /**
   * Listens on the address from which it reaches the head. Where that fails it serves nobody; on a port that was asked
   * for it throws `DataPortError`.
   */
  async listen(host: string): Promise<void> {
    if (this.#server !== undefined && this.#host === host) return;
    await this.#server?.close();
    this.#server = undefined;
    this.#host = host;
    const { log, serve } = this.#hooks;
    try {
      this.#server = await DataServer.start({
        ...{ host, port: this.#port, token: this.#token, open: serve },
        onRefused: (remote, reason) =>
          log(`refused a peer at ${remote} on its data port: ${reason}`),
      });
    } catch (error) {
      if (this.#port !== 0) throw DataPortError.of(host, this.#port, error);
      log(`sends nothing to other workers: it cannot listen on ${host} (${reasonOf(error)})`);
    }
  }

  /** What the head says about a block that was asked for. */
  handle(message: BlockAt | BlockLost): void {
    if (message.type === "blockAt") void this.#pull(message);
    else this.#lost(message);
  }

  /** Gets nothing more of a fit; without a name, of any: the head that said where is lost. Nothing is said. */
  forget(job?: string): void {
    for (const [key, { message, stop }] of [...this.#pulls]) {
      if (job !== undefined && message.job !== job) continue;
      this.#pulls.delete(key);
      stop.abort(new PullError("it is not wanted any more", false));
    }
  }

  async close(): Promise<void> {
    this.forget();
    this.#client.close();
    await this.#server?.close();
    this.#server = undefined;
  }

  async #pull(message: BlockAt): Promise<void> {
    const { job, block } = message;
    const key = `${job}/${block}`;
    const known = this.#hooks.wanted(job, block);
    if (known === undefined || known === "here") {
      this.#hooks.say({ type: known === "here" ? "blockHere" : "blockGone", job, block });
      return;
    }
    const pull: Pull = { message, stop: new AbortController() };
    this.#pulls.get(key)?.stop.abort(new PullError("it is asked for elsewhere", false));
    this.#pulls.set(key, pull);
    let reached = known.offset;
    const onPiece = (offset: number, piece: Uint8Array) => {
      this.#hooks.onPiece(job, block, offset, piece);
      reached = offset + piece.length;
    };
    try {
      await this.#client.pull(message, { job, block, ...known }, onPiece, pull.stop.signal);
    } catch (error) {
      if (this.#pulls.get(key) === pull) this.#missed(message, reached, error);
    } finally {
      if (this.#pulls.get(key) === pull) this.#pulls.delete(key);
    }
  }

  #missed({ job, block, agent: source }: BlockAt, offset: number, error: unknown): void {
    const isAbsent = error instanceof PullError && error.isAbsent;
    const reason = reasonOf(error);
    this.#hooks.say({ type: "blockMissed", job, block, source, offset, isAbsent, reason });
  }

  /** What was finished or missed meanwhile has been told. */
  #lost({ job, block, agent }: BlockLost): void {
    const pull = this.#pulls.get(`${job}/${block}`);
    if (pull?.message.agent === agent) pull.stop.abort(new PullError("it has left", false));
  }
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}
