/**
 * A socket by which a directory tells that its owner lives: the system refuses whoever knocks as soon as the process is
 * gone, in whichever way, and lets in everybody else, also from other containers and while the process is stopped.
 */
import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";

export const socketName = "alive";

/** Longer paths do not fit into the address of a socket: they would be cut off without a word. */
const addressBytesLimit = 107;

/** What a knock says. `absent`: there is no such socket; `unclear`: it cannot be tried from here. */
export type Answer = "accepted" | "refused" | "absent" | "unclear";

export class AliveSocket {
  readonly #server: Server;
  readonly #address: SocketAddress;

  private constructor(server: Server, address: SocketAddress) {
    this.#server = server;
    this.#address = address;
  }

  /** Listens in a directory, without keeping the process alive; undefined where the file system has no sockets. */
  static async open(directory: string): Promise<AliveSocket | undefined> {
    const address = addressIn(directory);
    if (address === undefined) return undefined;
    const server = createServer((visitor) => visitor.destroy());
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(address.path, resolve);
      });
    } catch {
      address.close();
      return undefined;
    }
    server.removeAllListeners("error").on("error", () => {});
    return new AliveSocket(server.unref(), address);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        // The server has just removed its file, by this address.
        this.#address.close();
        resolve();
      });
    });
  }
}

/** Asks the socket of a directory, which may be another's. */
export async function knock(directory: string): Promise<Answer> {
  try {
    if (!lstatSync(join(directory, socketName)).isSocket()) return "absent";
  } catch (error) {
    return isMissing(error) ? "absent" : "unclear";
  }
  const address = addressIn(directory);
  if (address === undefined) return "unclear";
  try {
    return await new Promise<Answer>((resolve) => {
      const visitor = connect(address.path);
      visitor.once("connect", () => resolve("accepted"));
      visitor.once("error", (error) => resolve(answerOf(error)));
      visitor.once("close", () => resolve("unclear"));
      visitor.once("connect", () => visitor.destroy());
    });
  } finally {
    address.close();
  }
}

function answerOf(error: Error): Answer {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ECONNREFUSED") return "refused";
  // Others stand in line: somebody listens.
  if (code === "EAGAIN") return "accepted";
  return isMissing(error) ? "absent" : "unclear";
}

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === "ENOENT";

interface SocketAddress {
  readonly path: string;
  close(): void;
}

/** A path that fits; undefined where there is none. */
function addressIn(directory: string): SocketAddress | undefined {
  const path = join(directory, socketName);
  if (Buffer.byteLength(path) <= addressBytesLimit) return { path, close: () => {} };
  if (process.platform !== "linux") return undefined;
  try {
    const descriptor = openSync(directory, constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return {
      path: `/proc/self/fd/${descriptor}/${socketName}`,
      close: () => closeSync(descriptor),
    };
  } catch {
    return undefined;
  }
}
