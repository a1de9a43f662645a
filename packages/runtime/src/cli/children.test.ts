import { spawn } from "node:child_process";
import { describe, expect, it } from "vitest";
import { KeptChild } from "./children.ts";

const isFinal = (code: number) => code === 0;
const missing = () => spawn("/nowhere/at/all");
const good = () => spawn(process.execPath, ["-e", ""]);

describe("a child that is kept", () => {
  it("is started again where the system refused it, at once or a little later", async () => {
    const deaths: string[] = [];
    const ways = [
      missing,
      () => {
        throw Object.assign(new Error("spawn ENOMEM"), { code: "ENOMEM" });
      },
      good,
    ];
    const child = new KeptChild({
      spawn: () => (ways.shift() ?? good)(),
      isFinal,
      onDeath: (sentence) => deaths.push(sentence),
    });
    expect(await child.ended).toBe(0);
    expect(deaths).toEqual([
      expect.stringMatching(/^it could not be started: .*ENOENT; it is started again in 0\.5 s$/),
      "it could not be started: no memory is left; it is started again in 1 s",
    ]);
    await child.end(1_000);
  }, 20_000);

  it("that never began is not waited for", async () => {
    const child = new KeptChild({ spawn: missing, isFinal, onDeath: () => {} });
    await child.end(60_000);
    expect(await child.ended).toBe(1);
  }, 20_000);
});
