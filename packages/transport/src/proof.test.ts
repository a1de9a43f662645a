import { afterEach, expect, it, vi } from "vitest";
import { Nonces } from "./proof.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

it("a nonce is good whichever way the wall clock is set meanwhile, once, and not too long", () => {
  const nonces = new Nonces(1_000);
  const realMs = Date.now();
  const nonce = nonces.issue();
  for (const stepMs of [-3_600_000, -1, 3_600_000]) {
    vi.spyOn(Date, "now").mockReturnValue(realMs + stepMs);
    expect(nonces.isOpen(nonce)).toBe(true);
  }
  nonces.use(nonce);
  expect(nonces.isOpen(nonce)).toBe(false);
  const old = nonces.issue(5_000);
  expect(nonces.isOpen(old, 6_000)).toBe(true);
  expect(nonces.isOpen(old, 6_001)).toBe(false);
});
