/** Whose kernels ours are measured beside, where they are installed. */
import { spawnSync } from "node:child_process";
import { UsageError } from "../../errors.ts";

export const peerNames = ["dipy", "mrtrix3"] as const;
export type PeerName = (typeof peerNames)[number];

/** DIPY, with the Python that has it. */
export interface Dipy {
  readonly python: string;
  /** `DIPY 1.6.0, NumPy 1.24.2, Python 3.11.2`. */
  readonly version: string;
}

/** A user's own may have none while the system's has it. */
const pythons = ["python3", "/usr/bin/python3"] as const;

const versionQuestion =
  "import dipy, numpy, platform; print(f'DIPY {dipy.__version__}, NumPy {numpy.__version__}, Python {platform.python_version()}')";

/** Looks in the Python that is given, else in those of this machine. Throws `UsageError` where that Python cannot be run. */
export function findDipy(python: string | undefined): Dipy | undefined {
  for (const command of python === undefined ? pythons : [python]) {
    const { error, status, stdout } = spawnSync(command, ["-c", versionQuestion], {
      encoding: "utf8",
    });
    if (error !== undefined && python !== undefined) {
      throw new UsageError(
        `--python ${python} cannot be run (${error.message}): give the path of a Python that has DIPY.`,
      );
    }
    if (status === 0 && stdout.startsWith("DIPY"))
      return { python: command, version: stdout.trim() };
  }
  return undefined;
}

/** `MRtrix3 3.0.3`, where its dwi2fod is on the path. */
export function findMrtrix(): string | undefined {
  const { status, stdout } = spawnSync("dwi2fod", ["-version"], { encoding: "utf8" });
  if (status !== 0) return undefined;
  return `MRtrix3 ${/dwi2fod (\S+)/.exec(stdout)?.[1] ?? "of an unknown version"}`;
}
