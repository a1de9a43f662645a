/** Bytes as `1.3 MiB`, rounded up: what is needed must not look less. */
export const mebibytes = (bytes: number) => `${Math.ceil((10 * bytes) / 2 ** 20) / 10} MiB`;

/** `1 slot`, `2 slots`. */
export function counted(count: number, noun: string): string {
  return `${count} ${count === 1 ? noun : `${noun}s`}`;
}
