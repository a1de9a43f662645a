/** Sessions between real processes that are killed, stopped and continued. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { defaultDetectorLimits } from "@fascicle/core";
import { dial, listen, newToken, type Server } from "@fascicle/transport";
import { afterEach, describe, expect, it } from "vitest";
import { sleep } from "../support/cli.ts";

const token = newToken();
const script = fileURLToPath(new URL("peer.mjs", import.meta.url));
const { resumeGraceMs, silenceLimitMs, tickIntervalMs } = defaultDetectorLimits;
/** The machine is shared. */
const latenessMs = 2_000;

type Note = Record<string, unknown>;

/** A process that tells what befalls it. */
class Peer {
  readonly child: ChildProcess;
  readonly notes: Note[] = [];

  constructor(...words: (string | number)[]) {
    this.child = fork(script, words.map(String));
    this.child.on("message", (note) => this.notes.push(note as Note));
    peers.push(this);
  }

  async told(key: string, timeoutMs = 30_000): Promise<unknown> {
    const untilMs = performance.now() + timeoutMs;
    for (;;) {
      const note = this.notes.find((candidate) => key in candidate);
      if (note !== undefined) return note[key];
      if (performance.now() > untilMs) throw new Error(`never told ${key}`);
      await sleep(5);
    }
  }

  async end(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await exited;
  }
}

const peers: Peer[] = [];
let server: Server | undefined;

afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.end()));
  await server?.close();
  server = undefined;
});

/** A head in this process; says when its one session ended, and why. */
async function head(): Promise<{
  port: number;
  closed: Promise<{ reason: string; atMs: number }>;
}> {
  let tell: (end: { reason: string; atMs: number }) => void;
  const closed = new Promise<{ reason: string; atMs: number }>((resolve) => {
    tell = resolve;
  });
  server = await listen({
    host: "127.0.0.1",
    port: 0,
    token,
    onSession: (session) =>
      session.start({
        onMessage: () => {},
        onClose: (reason) => tell({ reason, atMs: performance.now() }),
      }),
    onRefused: () => {},
  });
  return { port: server.port, closed };
}

describe("a session with a process", () => {
  it("that is killed ends within the time that a connection has to come back", async () => {
    const { port, closed } = await head();
    const client = new Peer("client", port, token);
    await client.told("sent");
    const killedMs = performance.now();
    client.child.kill("SIGKILL");
    const { reason, atMs } = await closed;
    expect(reason).toBe("its connection broke and did not come back within 2 s");
    expect(atMs - killedMs).toBeLessThan(resumeGraceMs + 2 * tickIntervalMs + latenessMs);
  });

  it("that is stopped ends within 10 s; continued, the process learns that it is over", async () => {
    const { port, closed } = await head();
    const client = new Peer("client", port, token);
    await client.told("sent");
    const stoppedMs = performance.now();
    client.child.kill("SIGSTOP");
    const { reason, atMs } = await closed;
    expect(reason).toBe("nothing was heard of it for 8 s");
    expect(atMs - stoppedMs).toBeGreaterThan(silenceLimitMs - 2_500);
    expect(atMs - stoppedMs).toBeLessThan(10_000 + latenessMs);
    await sleep(1_000);
    client.child.kill("SIGCONT");
    expect(await client.told("closed")).toBe("nothing was heard of it for 8 s");
  });

  it("that is stopped for a while loses nothing", async () => {
    const listener = new Peer("server", 0, token);
    const port = Number(await listener.told("port"));
    const count = 3_000;
    const client = new Peer("client", port, token, count);
    await listener.told("heard");
    listener.child.kill("SIGSTOP");
    // Long enough to be suspect, and to be dialled again in vain.
    await sleep(6_000);
    listener.child.kill("SIGCONT");
    await client.told("sent");
    expect(client.notes.filter((note) => "closed" in note)).toEqual([]);
    // The peer has all; its notes of it may still be on their way to this test.
    const heard = () => listener.notes.filter((note) => "heard" in note);
    const untilMs = performance.now() + 10_000;
    while (heard().length < count && performance.now() < untilMs) await sleep(20);
    expect(heard()).toHaveLength(count);
    expect(heard().filter((note) => !note.isRight)).toEqual([]);
  });

  it("that was killed and started anew ends at once, with the reason", async () => {
    const first = new Peer("server", 0, token);
    const port = Number(await first.told("port"));
    const client = new Peer("client", port, token, 1);
    await client.told("sent");
    await first.end();
    const second = new Peer("server", port, token);
    await second.told("port");
    expect(await client.told("closed")).toMatch(/does not know the session|did not come back/);
    const session = await dial({ host: "127.0.0.1", port, token }, "client");
    expect(session.isOpen).toBe(true);
    session.terminate("done");
  });
});
