import type { Connection } from "../connection.ts";
import { decodeFrame, decodeValue, encodeHeader, writeNumbers } from "../frame.ts";

/** Messages on a connection to a data port: frames as in a session, without its memory. */
export class DataWire {
  readonly #connection: Connection;
  #sent = 0;
  #received = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** `payload` is sent from where it lies. */
  send(message: object, payload?: Uint8Array): void {
    const header = encodeHeader(message);
    writeNumbers(header, ++this.#sent, 0);
    this.#connection.send(header, payload);
  }

  /** Throws on what is no next frame. */
  read(fragments: readonly Buffer[]): { readonly message: unknown; readonly payload: Uint8Array } {
    const { sequence, header, payload } = decodeFrame(fragments);
    if (sequence !== ++this.#received) throw new Error("a frame is missing");
    return { message: decodeValue(header), payload };
  }
}
