/** Whether the owner of a directory lives, as far as its number, its socket and its heartbeat tell. */
import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { knock } from "./aliveSocket.ts";
import { silentOwnerMs } from "./limits.ts";
import { currentOwner, type Owner, type OwnerState, startTimeOf } from "./owner.ts";
import { heardMs } from "./ownerFile.ts";

/**
 * A process that can be seen from here is looked at. Of another container of this boot the socket tells. Of another
 * machine, or where there is no socket, an hour of silence. Of a boot of this machine that is over: that it is over.
 */
export async function stateOf(owner: Owner, directory: string): Promise<OwnerState> {
  const self = currentOwner();
  const isSameBoot = self.bootId !== "" && owner.bootId === self.bootId;
  const isSeen = isSameBoot && self.startTime !== "" && owner.pidNamespace === self.pidNamespace;
  if (isSeen) return startTimeOf(owner.pid) === owner.startTime ? "alive" : "dead";
  const answer = await knock(directory);
  if (answer === "accepted") return "alive";
  if (answer === "unclear") return "unknown";
  // On a disk that hosts share, a socket refuses all but those of its own mount.
  if (answer === "refused" && isSameBoot && (await isOnLocalDisk(directory))) return "dead";
  const lastMs = await heardMs(directory).catch(() => Date.now());
  if (isOfEarlierBoot(owner, self) && lastMs < bootedMs()) return "dead";
  return Date.now() - lastMs > silentOwnerMs ? "dead" : "unknown";
}

/** By the names; copies of a virtual machine may have the same. But one that runs was heard of since we booted. */
function isOfEarlierBoot(owner: Owner, self: Owner): boolean {
  return (
    self.machineId !== "" &&
    owner.machineId === self.machineId &&
    owner.hostName === self.hostName &&
    self.bootId !== "" &&
    owner.bootId !== "" &&
    owner.bootId !== self.bootId
  );
}

/** When this machine was booted, milliseconds since 1970; 0 where it does not tell. */
function bootedMs(): number {
  try {
    const stat = readFileSync("/proc/stat", "utf8");
    return Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) * 1000;
  } catch {
    return 0;
  }
}

/** ext2 to ext4, XFS, Btrfs, tmpfs, overlay, ZFS, F2FS, bcachefs, ramfs. */
const localFileSystems = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e,
  0x858458f6,
]);

async function isOnLocalDisk(directory: string): Promise<boolean> {
  try {
    return localFileSystems.has((await statfs(directory)).type >>> 0);
  } catch {
    return false;
  }
}
