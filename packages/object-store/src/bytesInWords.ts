const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** A number of bytes as people say it: "64 KiB", "1.5 GiB". */
export function bytesInWords(bytes: number): string {
  if (bytes === 1) return "1 byte";
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  // One decimal is enough to compare by, and is left out where it says nothing.
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}
