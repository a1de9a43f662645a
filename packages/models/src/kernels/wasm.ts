/**
 * A small assembler for WebAssembly (specification 2.0 with 128-bit SIMD), in which the hottest loops
 * are written: two float64 at a time, without JavaScript's bounds checks. Its additions and
 * multiplications round as JavaScript's do, each on its own, so every machine gives the same bits.
 *
 * Code is a list of bytes; every function here returns the bytes of one expression or statement.
 */
export type Code = readonly number[];

/** What this module needs of the engine's WebAssembly, which TypeScript only declares with the DOM. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: object };
  Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  for (; value < -64 || value > 63; value >>= 7) bytes.push((value & 127) | 128);
  return [...bytes, value & 127];
}

const VALUE_TYPES = { i32: 0x7f, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = keyof typeof VALUE_TYPES;

/** The signature and the locals of a function being written; parameters are the first locals. */
export class FunctionWriter {
  readonly #parameters: readonly ValueType[];
  readonly #locals: ValueType[] = [];
  readonly #result: ValueType | undefined;

  constructor(parameters: readonly ValueType[], result?: ValueType) {
    this.#parameters = parameters;
    this.#result = result;
  }

  /** A new local; returns its index. */
  local(type: ValueType): number {
    return this.#parameters.length + this.#locals.push(type) - 1;
  }

  locals(type: ValueType, count: number): number[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  get signature(): number[] {
    const types = this.#parameters.map((type) => VALUE_TYPES[type]);
    const results = this.#result === undefined ? [] : [VALUE_TYPES[this.#result]];
    return [0x60, ...vector(types.map((type) => [type])), ...vector(results.map((type) => [type]))];
  }

  body(code: Code): number[] {
    const locals = vector(this.#locals.map((type) => [1, VALUE_TYPES[type]]));
    const bytes = [...locals, ...code, 0x0b];
    return [...unsigned(bytes.length), ...bytes];
  }
}

function vector(items: readonly Code[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const block = (...parts: readonly Code[]): Code => parts.flat();

export const int = (value: number): Code => [0x41, ...signed(value)];
export const addInt = (left: Code, right: Code): Code => [...left, ...right, 0x6a];
export const timesInt = (left: Code, right: Code): Code => [...left, ...right, 0x6c];
export const below = (left: Code, right: Code): Code => [...left, ...right, 0x48];

/** local += amount */
export const advance = (local: number, amount: Code): Code =>
  set(local, addInt(get(local), amount));

/** Runs the body as long as the condition holds, which is asked before each round. */
export const loopWhile = (condition: Code, body: Code): Code => [
  ...[0x02, 0x40, 0x03, 0x40],
  ...[...condition, 0x45, 0x0d, 1],
  ...[...body, 0x0c, 0],
  ...[0x0b, 0x0b],
];
export const when = (condition: Code, body: Code): Code => [
  ...condition,
  0x04,
  0x40,
  ...body,
  0x0b,
];
export const leave = (value: Code): Code => [...value, 0x0f];

/** Memory operands are an address in bytes and a constant offset in float64 numbers. */
const at = (offset: number): Code => [3, ...unsigned(8 * offset)];

export const load = (address: Code, offset = 0): Code => [...address, 0x2b, ...at(offset)];
export const store = (address: Code, offset: number, value: Code): Code => [
  ...[...address, ...value],
  ...[0x39, ...at(offset)],
];
export const real = (value: number): Code => [0x44, ...new Uint8Array(littleEndian(value))];
export const plus = (left: Code, right: Code): Code => [...left, ...right, 0xa0];
export const minus = (left: Code, right: Code): Code => [...left, ...right, 0xa1];
export const times = (left: Code, right: Code): Code => [...left, ...right, 0xa2];
export const over = (left: Code, right: Code): Code => [...left, ...right, 0xa3];
export const squareRoot = (value: Code): Code => [...value, 0x9f];
export const above = (left: Code, right: Code): Code => [...left, ...right, 0x64];
/** Not above, which NaN is not either. */
export const notAbove = (left: Code, right: Code): Code => [...above(left, right), 0x45];

/** Pairs of float64. */
export const loadPair = (address: Code, offset = 0): Code => [
  ...address,
  ...[0xfd, 0, ...at(offset)],
];
export const loadBoth = (address: Code, offset = 0): Code => [
  ...address,
  ...[0xfd, 10, ...at(offset)],
];
export const storePair = (address: Code, offset: number, value: Code): Code => [
  ...[...address, ...value],
  ...[0xfd, 11, ...at(offset)],
];
export const plusPair = (left: Code, right: Code): Code => [...left, ...right, 0xfd, 0xf0, 1];
export const minusPair = (left: Code, right: Code): Code => [...left, ...right, 0xfd, 0xf1, 1];
export const timesPair = (left: Code, right: Code): Code => [...left, ...right, 0xfd, 0xf2, 1];
export const laneOf = (pair: Code, lane: 0 | 1): Code => [...pair, 0xfd, 0x21, lane];
/** (0, 0) */
export const zeroPair: Code = [0xfd, 12, ...new Array<number>(16).fill(0)];

function littleEndian(value: number): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value, true);
  return view.buffer;
}

/** Functions by name, compiled over one memory that they import. */
export function compile(
  functions: Readonly<Record<string, readonly [FunctionWriter, Code]>>,
): object {
  const entries = Object.entries(functions);
  const name = (text: string) => vector(Array.from(text, (letter) => [letter.charCodeAt(0)]));
  const section = (id: number, items: readonly Code[]) => {
    const content = vector(items);
    return [id, ...unsigned(content.length), ...content];
  };
  const memory = [...name("host"), ...name("memory"), 2, 0, 1];
  const bytes = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      entries.map(([, [writer]]) => writer.signature),
    ),
    ...section(2, [memory]),
    ...section(
      3,
      entries.map((_, i) => unsigned(i)),
    ),
    ...section(
      7,
      entries.map(([text], i) => [...name(text), 0, ...unsigned(i)]),
    ),
    ...section(
      10,
      entries.map(([, [writer, code]]) => writer.body(code)),
    ),
  ];
  return new WebAssembly.Module(Uint8Array.from(bytes));
}

const PAGE_BYTES = 65536;

/** A compiled module over a memory of its own, of at least so many float64 numbers, all 0. */
export function instantiate(
  module: object,
  numbers: number,
): { exports: object; buffer: ArrayBuffer } {
  const pages = Math.max(1, Math.ceil((8 * numbers) / PAGE_BYTES));
  const memory = createMemory(pages);
  const { exports } = new WebAssembly.Instance(module, { host: { memory } });
  return { exports, buffer: memory.buffer };
}

function createMemory(pages: number): { readonly buffer: ArrayBuffer } {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new Error(
      "WebAssembly found no address space, of which it reserves about 10 GB; raise the limit on virtual memory (ulimit -v) or set NODE_OPTIONS=--disable-wasm-trap-handler.",
      { cause },
    );
  }
}
