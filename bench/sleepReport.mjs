// What the sleep benches share: their command line, the machine, and how figures are written.
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";

/** Whole numbers from the command line, by the names and the defaults given; a list where the default is one. */
export function numbersFrom(defaults) {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: "string" }]),
  );
  const { values } = parseArgs({ options });
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => {
      const given = values[name]?.split(",").map(Number);
      if (given?.some((number) => !Number.isSafeInteger(number) || number < 1)) {
        throw new Error(`--${name} takes whole numbers of at least 1, not ${values[name]}`);
      }
      return [name, given === undefined ? value : Array.isArray(value) ? given : given[0]];
    }),
  );
}

/** The share of the ideal throughput that was reached: 1 where every slot slept all the time. */
export const efficiency = (seconds, slots, chunks, sleepMs) =>
  (chunks * sleepMs) / 1000 / slots / seconds;

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

export const percent = (share) => `${(share * 100).toFixed(1)} %`;

/** How many wanted to run on the machine over the last minute. */
export const load = () => loadavg()[0].toFixed(1);

export const machineLine = () =>
  `${cpus()[0].model}, ${cpus().length} cores shared with others, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
