/** Bulk data that waits for its turn on a session, and those who wait to send some. */
export interface BulkMessage {
  readonly message: unknown;
  readonly payload: Uint8Array;
  /** What it is about: all that is about one thing can be taken back. */
  readonly subject: string;
}

export class BulkQueue {
  #messages: BulkMessage[] = [];
  #waiters: (() => void)[] = [];
  /** Of the payloads. */
  bytes = 0;

  /** Whether anything or anybody waits. */
  get isEmpty(): boolean {
    return this.#messages.length + this.#waiters.length === 0;
  }

  get hasMessages(): boolean {
    return this.#messages.length > 0;
  }

  get hasWaiters(): boolean {
    return this.#waiters.length > 0;
  }

  push(message: BulkMessage): void {
    this.#messages.push(message);
    this.bytes += message.payload.length;
  }

  shift(): BulkMessage | undefined {
    const message = this.#messages.shift();
    this.bytes -= message?.payload.length ?? 0;
    return message;
  }

  /** Resolves when it is this one's turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** It is the turn of whoever has waited longest. */
  wake(): void {
    this.#waiters.shift()?.();
  }

  drop(subject: string): void {
    this.#messages = this.#messages.filter((message) => message.subject !== subject);
    this.bytes = this.#messages.reduce((sum, { payload }) => sum + payload.length, 0);
  }

  /** Nothing is sent any more; nobody waits. */
  end(): void {
    this.#messages = [];
    this.bytes = 0;
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
