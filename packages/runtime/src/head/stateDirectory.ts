/** What a head keeps on disk: its token and port, so that a restart has the same join string. */
import { existsSync, fstatSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { currentOwner, type Owner, stateOfOwner } from "@fascicle/object-store";
import { whyNotToken } from "@fascicle/transport";
import { missingFolder, UsageError, whyNotFile } from "../errors.ts";
import {
  claimFile,
  claimsOn,
  isOwnClaim,
  readClaim,
  removeOtherClaims,
  writeClaim,
} from "../ledger/claims.ts";
import { ClaimWatch, keepTouching } from "../ledger/claimWatch.ts";
import { unreadableClaimMs } from "../ledger/limits.ts";
import { deadStartingLogs } from "./detachedLogs.ts";
import { makePrivateDirectory, removeIfEmpty, stateHome, writePrivateFile } from "./discovery.ts";

interface HeadFile {
  readonly token: string;
  readonly port: number;
  /** The process that holds the directory now. */
  readonly owner: Owner;
}

/** What a head that died while it wrote `head.json` left. */
const unfinishedPattern = /^head\.json\.\d+\.tmp$/;

/** A directory that goes, or is taken by another, while it is being taken is tried again this many times in all. */
const takeAttempts = 3;

export class StateDirectory {
  readonly path: string;
  readonly #isDefault: boolean;
  readonly #watch = new ClaimWatch();
  /** The file by which this process holds it. */
  #claim: string | undefined;
  #stopTouching: () => void = () => {};

  /** @param path given by the user, or undefined for the default one. */
  constructor(path: string | undefined) {
    this.path = path ?? join(stateHome(), "head");
    this.#isDefault = path === undefined;
  }

  /**
   * Makes the directory. Throws where a head holds it that is alive, or it cannot be written. Waits some seconds for a
   * word of one that cannot be seen from here.
   */
  async prepare(): Promise<void> {
    try {
      makePrivateDirectory(this.path);
    } catch (error) {
      throw new UsageError(
        `The state directory ${this.path} cannot be made (${whyNotFile(error, missingFolder)}): name a writable one with --state-dir.`,
      );
    }
    const last = this.#read();
    if (last !== undefined && stateOfOwner(last.owner) === "alive") throw this.#heldBy(last.owner);
    await this.#refuseHolders(await this.#claims());
  }

  /**
   * Takes the directory for this process, before anything in it is touched: of heads that start at once, one gets
   * it. Gives token and port of the last head here. Throws as `prepare` does.
   */
  async open(): Promise<{ token: string; port: number } | undefined> {
    await this.#take();
    try {
      return this.#read();
    } catch (error) {
      await this.release();
      throw error;
    }
  }

  async #take(): Promise<void> {
    for (let attempt = 0; attempt < takeAttempts; attempt++) {
      const claims = await this.#claims();
      await this.prepare();
      const file = claimFile(this.path, Math.max(0, ...claims) + 1);
      if (!(await writeClaim(file).catch((error) => this.#notWritable(error)))) continue;
      this.#claim = file;
      // From now on: of two who look at each other at the same moment, neither may take the other for silent.
      this.#stopTouching = keepTouching(file);
      try {
        // Whoever looked before others came and went may have counted otherwise.
        await this.#refuseHolders(await this.#claims());
      } catch (error) {
        await this.release();
        throw error;
      }
      await removeOtherClaims(file);
      for (const { path } of deadStartingLogs(this.path)) rmSync(path, { force: true });
      return;
    }
    throw this.#heldBy(undefined);
  }

  async #claims(): Promise<number[]> {
    return (await claimsOn(this.path)) ?? [];
  }

  /** Throws where one of these claims is another process's that is alive. */
  async #refuseHolders(claims: readonly number[]): Promise<void> {
    for (const file of claims.map((claim) => claimFile(this.path, claim))) {
      if (file === this.#claim || !existsSync(file)) continue;
      const owner = await readClaim(file);
      if (await this.#isHolding(owner, file)) throw this.#heldBy(owner);
    }
  }

  async #isHolding(owner: Owner | undefined, file: string): Promise<boolean> {
    if (owner === undefined) return isYoung(file);
    const state = stateOfOwner(owner);
    return state === "alive" || (state === "unknown" && (await this.#watch.isHeard(file)));
  }

  #heldBy(owner: Owner | undefined): UsageError {
    const last = this.#read();
    const port = last !== undefined && last.owner.pid === owner?.pid ? `, port ${last.port}` : "";
    const where =
      owner === undefined || owner.hostName === hostname() ? "" : ` on ${owner.hostName}`;
    const who = owner === undefined ? "it is just starting" : `pid ${owner.pid}${where}${port}`;
    return new UsageError(
      `A head of yours runs already (${who}): stop it with \`runtime stop\`, or give this one its own --state-dir and --port.`,
    );
  }

  #notWritable(error: unknown): never {
    throw new UsageError(
      `The state directory ${this.path} cannot be written (${whyNotFile(error, missingFolder)}): name a writable one with --state-dir.`,
    );
  }

  save(token: string, port: number): void {
    const file: HeadFile = { token, port, owner: currentOwner() };
    try {
      writePrivateFile(this.#file, JSON.stringify(file));
    } catch (error) {
      this.#notWritable(error);
    }
  }

  /** For how long the head that held it has been dead; undefined where there is none, or it is alive or of another host. */
  async deadForMs(): Promise<number | undefined> {
    const claim = Math.max(0, ...(await this.#claims()));
    const file = claim === 0 ? this.#file : claimFile(this.path, claim);
    try {
      const owner = claim === 0 ? this.#read()?.owner : await readClaim(file);
      if (owner === undefined || stateOfOwner(owner) !== "dead") return undefined;
      return Date.now() - statSync(file).mtimeMs;
    } catch {
      return undefined;
    }
  }

  get hasJournal(): boolean {
    return existsSync(this.#journal);
  }

  /** No fit is in it any more. Does nothing where another head has taken the directory. */
  removeJournal(): void {
    if (!this.#isHeld) return;
    for (const name of [this.#journal, `${this.#journal}.new`]) rmSync(name, { force: true });
  }

  /**
   * A head that stops in good order leaves nothing, not even of those that died here before it, but for token and port
   * where the directory is the user's own. Does nothing where another head has taken the directory.
   */
  close(): void {
    if (!this.#isHeld) return;
    this.removeJournal();
    for (const name of readdirSync(this.path)) {
      if (unfinishedPattern.test(name)) rmSync(join(this.path, name), { force: true });
    }
    if (this.#isLogLeft()) rmSync(this.logFile, { force: true });
    if (!this.#isDefault) return;
    rmSync(this.#file, { force: true });
  }

  /** Lets go of it; what is in it stays. */
  async release(): Promise<void> {
    const claim = this.#claim;
    this.#claim = undefined;
    this.#stopTouching();
    if (claim !== undefined && isOwnClaim(claim)) rmSync(claim, { force: true });
    this.discardIfEmpty();
  }

  /** A head that could not start leaves no empty directory; what an earlier one kept stays. */
  discardIfEmpty(): void {
    if (!this.#isDefault) return;
    removeIfEmpty(this.path);
    removeIfEmpty(stateHome());
  }

  /** Where a detached head writes its log. */
  get logFile(): string {
    return join(this.path, "head.log");
  }

  /** Whether the log is a dead head's, and not what this process writes to. */
  #isLogLeft(): boolean {
    try {
      const log = statSync(this.logFile);
      const own = fstatSync(process.stderr.fd);
      return log.ino !== own.ino || log.dev !== own.dev;
    } catch {
      return false;
    }
  }

  /** Whether it is still this process's. */
  get #isHeld(): boolean {
    return this.#claim !== undefined && isOwnClaim(this.#claim);
  }

  get #file(): string {
    return join(this.path, "head.json");
  }

  get #journal(): string {
    return join(this.path, "journal");
  }

  #read(): HeadFile | undefined {
    if (!existsSync(this.#file)) return undefined;
    try {
      const file = JSON.parse(readFileSync(this.#file, "utf8")) as HeadFile;
      const isPort = Number.isInteger(file.port) && file.port > 0 && file.port < 65536;
      const isOwned = typeof file.owner?.pid === "number" && typeof file.owner.bootId === "string";
      if (isPort && isOwned && whyNotToken(file.token) === undefined) return file;
    } catch {
      // Falls through: a file that cannot be read is no state.
    }
    throw new UsageError(
      `${this.#file} is damaged: remove it to start with a new token, or name another --state-dir.`,
    );
  }
}

/** Whether a claim that cannot be read may be one that is just written. */
function isYoung(file: string): boolean {
  try {
    return Date.now() - statSync(file).mtimeMs < unreadableClaimMs;
  } catch {
    return false;
  }
}
