/** Text that becomes HTML. */

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Makes any text safe between tags and inside quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

/** A number for people: three significant digits, grouped thousands, powers of ten where they help. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e9) return groupThousands(value);
  if (size >= 1e6 || size < 1e-3) return powerOfTen(value);
  if (size >= 1000) return groupThousands(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

function groupThousands(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

function powerOfTen(value: number): string {
  const [mantissa, exponent] = value.toExponential(2).split("e");
  const power = exponent
    .replace("+", "")
    .replace("-", "⁻")
    .replace(/\d/g, (digit) => superscripts[Number(digit)]);
  return `${Number(mantissa)}\u202f×\u202f10${power}`;
}

/** Bytes in the largest binary unit that leaves at least one. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${formatNumber(Number(value.toPrecision(3)))} ${units[unit]}`;
}

/** Seconds with a unit that fits their size. */
export function formatSeconds(seconds: number): string {
  if (seconds >= 120) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds >= 1) return `${formatNumber(Number(seconds.toPrecision(3)))} s`;
  return `${formatNumber(Number((1000 * seconds).toPrecision(2)))} ms`;
}

/** Mathematical signs for a unit as files spell it; "1" is no unit. */
export function formatUnits(units: string): string {
  if (units === "1") return "";
  return units.replace(/mm2/g, "mm²").replace(/mm\^2/g, "mm²");
}
