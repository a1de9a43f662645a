/** Where the bytes of a log lie. */
export interface LogStorage {
  /** All bytes. */
  read(): Promise<Uint8Array>;
  /** Puts bytes at the end; durable only after `sync`. */
  append(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  /** Keeps the first `bytes` bytes; durable only after `sync`. */
  truncate(bytes: number): Promise<void>;
  /** Puts `bytes` in the place of all there is: the old or the new, never a mixture. Durable when it resolves. */
  replace(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
