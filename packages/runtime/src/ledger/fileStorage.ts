/** A log in a file. */
import { type FileHandle, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { LogStorage } from "./logStorage.ts";

export class FileStorage implements LogStorage {
  readonly #path: string;
  #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Opens the file, which is made if need be; only its owner may read it. */
  static async open(path: string): Promise<FileStorage> {
    const handle = await open(path, "a", 0o600);
    try {
      await syncDirectory(dirname(path));
      return new FileStorage(path, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  read(): Promise<Uint8Array> {
    return readFile(this.#path);
  }

  append(bytes: Uint8Array): Promise<void> {
    return appendAll(this.#handle, bytes);
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes);
  }

  async replace(bytes: Uint8Array): Promise<void> {
    const temporary = `${this.#path}.new`;
    await rm(temporary, { force: true });
    const handle = await open(temporary, "ax", 0o600);
    try {
      await appendAll(handle, bytes);
      await handle.sync();
      await rename(temporary, this.#path);
    } catch (error) {
      await handle.close();
      await rm(temporary, { force: true });
      throw error;
    }
    const old = this.#handle;
    this.#handle = handle;
    await old.close();
    await syncDirectory(dirname(this.#path));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function appendAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at);
    at += bytesWritten;
  }
}

/** Makes the names in a directory durable, where the system can. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Some network and Windows file systems have no such thing.
    if (code !== "EINVAL" && code !== "EPERM" && code !== "ENOTSUP") throw error;
  } finally {
    await handle.close();
  }
}
