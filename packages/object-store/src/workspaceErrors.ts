/** Why there can be no workspace where one was asked for. */
export class WorkspaceError extends Error {
  readonly code = "SPILL_DIRECTORY";
  override readonly name = "WorkspaceError";

  static of(parent: string, error: unknown): WorkspaceError {
    return new WorkspaceError(
      `The spill directory ${parent} cannot be used (${whyNot(error)}): give another with --spill-dir.`,
      { cause: error },
    );
  }

  static ofRemoval(path: string, error: unknown): WorkspaceError {
    return new WorkspaceError(
      `The scratch directory ${path} cannot be removed (${whyNot(error)}): remove it by hand, or with \`runtime gc\` later.`,
      { cause: error },
    );
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  ENOTDIR: "it is not a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "its file system is read-only",
  ENOSPC: "no space is left on its disk",
  EDQUOT: "the quota of its disk is used up",
  ENAMETOOLONG: "its name is too long",
  EIO: "its disk fails",
  ESTALE: "its file system was taken away",
};

/** Words for brackets. */
export function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : (reasons[code] ?? code);
}
