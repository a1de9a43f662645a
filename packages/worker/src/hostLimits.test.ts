import { availableParallelism, totalmem } from "node:os";
import { describe, expect, it } from "vitest";
import { physicalCores, quotaCores, usableCores, usableMemoryBytes } from "./hostLimits.ts";

const files = (entries: Record<string, string>) => (path: string) => entries[path];

describe("limits of the host", () => {
  it("are the cgroup's quota, version 2, own group or above", () => {
    const read = files({
      "/proc/self/cgroup": "0::/system.slice/worker.scope\n",
      "/sys/fs/cgroup/system.slice/cpu.max": "150000 100000\n",
      "/sys/fs/cgroup/system.slice/worker.scope/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/system.slice/worker.scope/memory.max": "268435456\n",
    });
    expect(quotaCores(read)).toBe(1.5);
    expect(usableCores(read)).toBe(1);
    expect(usableMemoryBytes(read)).toBe(2 ** 28);
  });

  it("are the cgroup's quota, version 1, as a container sees it", () => {
    const read = files({
      "/proc/self/cgroup": "3:cpu,cpuacct:/docker/abc\n2:memory:/docker/abc\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
    });
    expect(quotaCores(read)).toBe(0.5);
    expect(usableCores(read)).toBe(1);
    expect(usableMemoryBytes(read)).toBe(2 ** 29);
  });

  it("are the machine's where no cgroup limits", () => {
    const read = files({
      "/proc/self/cgroup": "0::/\n",
      "/sys/fs/cgroup/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    });
    expect(quotaCores(read)).toBe(Number.POSITIVE_INFINITY);
    expect(usableCores(read)).toBe(availableParallelism());
    expect(usableMemoryBytes(read)).toBe(totalmem());
  });

  it("count hyperthreads of one core once", () => {
    const processor = (id: number, core: number) =>
      `processor\t: ${id}\nphysical id\t: 0\ncore id\t\t: ${core}\n`;
    const cpuinfo = [processor(0, 0), processor(1, 1), processor(2, 0), processor(3, 1)].join("\n");
    const read = files({ "/proc/cpuinfo": cpuinfo });
    expect(physicalCores(read)).toBe(2);
    expect(physicalCores(files({}))).toBe(availableParallelism());
  });
});
