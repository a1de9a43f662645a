import { describe, expect, it } from "vitest";
import { CommandClock } from "./commandClock.ts";

describe("the clock of a command", () => {
  it("gives each phase what lies between its beginning and the next one's", () => {
    let nowMs = 200;
    const clock = new CommandClock(() => nowMs);
    clock.begin("reading");
    nowMs = 1_200;
    clock.begin("binding");
    nowMs = 1_500;
    clock.begin("fit");
    nowMs = 4_000;
    clock.begin("writing");
    nowMs = 4_250;
    expect(clock.seconds).toEqual({
      starting: 0.2,
      reading: 1,
      binding: 0.3,
      fit: 2.5,
      writing: 0.25,
      total: 4.25,
    });
  });

  it("goes on in its phase when it is asked", () => {
    let nowMs = 0;
    const clock = new CommandClock(() => nowMs);
    clock.begin("reading");
    nowMs = 1_000;
    expect(clock.seconds.reading).toBe(1);
    nowMs = 3_000;
    expect(clock.seconds).toMatchObject({ reading: 3, total: 3 });
  });
});
