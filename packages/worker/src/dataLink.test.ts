import { createServer } from "node:net";
import { expect, it } from "vitest";
import { DataLink, type DataLinkHooks } from "./dataLink.ts";

const hooks: DataLinkHooks = {
  serve: async () => undefined,
  wanted: () => undefined,
  onPiece: () => {},
  say: () => {},
  log: () => {},
};

it("a data port that was asked for and is taken is an error, and no silence", async () => {
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, "127.0.0.1", () => {
      const address = other.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const link = new DataLink("a token of some length", hooks, port);
  await expect(link.listen("127.0.0.1")).rejects.toMatchObject({
    code: "DATA_PORT",
    message: `The data port ${port} cannot be opened on 127.0.0.1 (it is in use): give another with --data-port, or leave it out.`,
  });
  expect(link.address).toBeUndefined();
  await new Promise((resolve) => other.close(resolve));
  await link.listen("127.0.0.1");
  expect(link.address).toEqual({ host: "127.0.0.1", port });
  await link.close();
});
