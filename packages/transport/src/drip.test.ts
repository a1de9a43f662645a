import { createServer } from "node:http";
import { afterEach, expect, it } from "vitest";
import { dial } from "./client.ts";
import { newToken } from "./joinString.ts";
import { handshakeTimeoutMs } from "./limits.ts";

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

it("whoever answers a challenge byte by byte is not listened to for ever", async () => {
  const server = createServer((_, response) => {
    const drip = setInterval(() => response.write(" "), 200);
    response.on("close", () => clearInterval(drip));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => new Promise((resolve) => server.close(resolve)));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const begunMs = performance.now();
  await expect(dial({ host: "127.0.0.1", port, token: newToken() }, "client")).rejects.toThrow(
    /no answer in 5 s/,
  );
  expect(performance.now() - begunMs).toBeGreaterThan(handshakeTimeoutMs / 2);
}, 30_000);
