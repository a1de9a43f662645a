/** For tests: a directory for workspaces and a state home of its own, both gone afterwards. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class TestPlace {
  readonly path = mkdtempSync(join(tmpdir(), "fascicle-test-"));
  /** Where workspaces are made. */
  readonly parent = join(this.path, "parent");
  readonly #stateBefore = process.env.XDG_STATE_HOME;

  constructor() {
    mkdirSync(this.parent);
    process.env.XDG_STATE_HOME = join(this.path, "state");
  }

  close(): void {
    if (this.#stateBefore === undefined) delete process.env.XDG_STATE_HOME;
    else process.env.XDG_STATE_HOME = this.#stateBefore;
    rmSync(this.path, { recursive: true });
  }
}
