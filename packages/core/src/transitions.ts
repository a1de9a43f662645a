/** Transition tables: what may happen to an entity in which phase, and where that leads. */
import type { Story } from "./story.ts";

export type TransitionTable<Phase extends string, Change extends string> = Readonly<
  Record<Phase, Readonly<Partial<Record<Change, Phase>>>>
>;

/** Something happened that its table does not allow: a bug of ours. The message tells the entity's history. */
export class IllegalTransition extends Error {
  readonly code = "ILLEGAL_TRANSITION";
  override readonly name = "IllegalTransition";
}

/** The phase that a change leads to. Throws `IllegalTransition` where the table has none. */
export function transition<Phase extends string, Change extends string>(
  table: TransitionTable<Phase, Change>,
  from: Phase,
  change: Change,
  entity: string,
  story: Story,
): Phase {
  const to = table[from][change];
  if (to !== undefined) return to;
  const history = story
    .entries()
    .map((entry) => entry.text)
    .join("; ");
  throw new IllegalTransition(
    `${entity} is ${from} and cannot be changed by ${change}: ${history}`,
  );
}
