/** Names of workspaces. They tell who made them, also where the maker died before it could write that down. */
import { currentOwner, type OwnerState, stateOfTag, tagOf } from "./owner.ts";

const pattern =
  /^(fascicle-(\d+)-[0-9A-Za-z]{12}-(\d+-[0-9a-f]{12}))(?:\.gone-(\d+-\d+-[0-9a-f]{12}))?$/;

/** What a name tells. */
export interface WorkspaceName {
  readonly pid: number;
  readonly maker: OwnerState;
  /** Of the process that removes it; undefined where nobody does. */
  readonly remover: OwnerState | undefined;
  /** The name under which this process would remove it. */
  readonly gone: string;
}

/** For `tmp`, which puts its own pid and twelve random letters between the two. */
export function nameParts(): { prefix: string; postfix: string } {
  const tag = tagOf(currentOwner());
  return { prefix: "fascicle", postfix: tag.slice(tag.indexOf("-") + 1) };
}

/** Undefined where it is no name of a workspace. */
export function parseName(name: string): WorkspaceName | undefined {
  const [, base, pid, rest, remover] = pattern.exec(name) ?? [];
  if (base === undefined) return undefined;
  return {
    pid: Number(pid),
    maker: stateOfTag(`${pid}-${rest}`),
    remover: remover === undefined ? undefined : stateOfTag(remover),
    gone: `${base}.gone-${tagOf(currentOwner())}`,
  };
}
