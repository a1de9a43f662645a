/**
 * The bytes of a log of records. Pure: a simulator reads and writes the same bytes without a file.
 *
 * Header: magic (8 bytes), format version (uint32), CRC-32 of these 12 bytes (uint32), salt (8 bytes).
 * Record: length of the payload (uint32), CRC-32 of length and payload (uint32), payload (MessagePack).
 * Numbers are little endian. The CRC of a record continues that of the record before it, and the first one's that
 * of the salt: a record that was moved, or is left from an earlier log in the same place, is not believed.
 * Magic, version and their CRC stay as they are in every future version.
 */
import { crc32 } from "node:zlib";
import { decodeValue } from "@fascicle/transport";
import { recordBytesLimit } from "./limits.ts";

export const formatVersion = 1;

const magic = Buffer.from("FASCLOG\n", "latin1");
const headerPlace = { version: 8, crc: 12, salt: 16, bytes: 24 } as const;
const recordPlace = { crc: 4, payload: 8 } as const;

export const saltBytes = headerPlace.bytes - headerPlace.salt;

/** A log was written by a later version of Fascicle; it is left as it is. */
export class JournalVersionError extends Error {
  readonly code = "JOURNAL_VERSION";
  override readonly name = "JournalVersionError";

  static of(name: string, version: number): JournalVersionError {
    return new JournalVersionError(
      `${name} was written by a newer version of Fascicle (format ${version}, this one reads ${formatVersion}): use that version, or move the file away to begin without it.`,
    );
  }
}

/** How a log ends: whole, in a record that was never finished, or in bytes that have changed. */
export type LogEnding = "whole" | "torn" | "damaged";

export interface DecodedLog {
  /** In the order in which they were written. */
  readonly records: readonly unknown[];
  /** Bytes up to the end of the last record that is believed; 0 where the header is not. */
  readonly goodBytes: number;
  /** CRC that the next record continues. */
  readonly chain: number;
  /** Bytes behind `goodBytes`. */
  readonly cutBytes: number;
  readonly ending: LogEnding;
}

/** The header of a new log, and the CRC that its first record continues. */
export function encodeLogHeader(salt: Uint8Array): { bytes: Buffer; chain: number } {
  const bytes = Buffer.alloc(headerPlace.bytes);
  bytes.set(magic, 0);
  bytes.writeUInt32LE(formatVersion, headerPlace.version);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headerPlace.crc)), headerPlace.crc);
  bytes.set(salt, headerPlace.salt);
  return { bytes, chain: chainOfHeader(bytes) };
}

/** Records that continue `chain`, ready to be appended, and the CRC that the next one continues. */
export function encodeRecords(
  payloads: readonly Uint8Array[],
  chain: number,
): { bytes: Buffer; chain: number } {
  const size = payloads.reduce((sum, { length }) => sum + recordPlace.payload + length, 0);
  const bytes = Buffer.alloc(size);
  let at = 0;
  let crc = chain;
  for (const payload of payloads) {
    bytes.writeUInt32LE(payload.length, at);
    crc = crc32(payload, crc32(bytes.subarray(at, at + recordPlace.crc), crc));
    bytes.writeUInt32LE(crc, at + recordPlace.crc);
    bytes.set(payload, at + recordPlace.payload);
    at += recordPlace.payload + payload.length;
  }
  return { bytes, chain: crc };
}

/**
 * Reads records up to the first that is torn or damaged. Throws JournalVersionError for a log of a later version;
 * `name` is what its sentence calls the log.
 */
export function decodeLog(bytes: Uint8Array, name: string): DecodedLog {
  const log = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ending = endingOfHeader(log, name);
  if (log.length === 0 || ending !== "whole") {
    return { records: [], goodBytes: 0, chain: 0, cutBytes: log.length, ending };
  }
  const records: unknown[] = [];
  let at: number = headerPlace.bytes;
  let chain = chainOfHeader(log);
  while (at < log.length) {
    const record = decodeRecord(log, at, chain);
    if (record === undefined) break;
    records.push(record.value);
    at = record.end;
    chain = record.chain;
  }
  const cutBytes = log.length - at;
  return { records, goodBytes: at, chain, cutBytes, ending: endingOfRecords(log, at) };
}

/** One sentence for a log that did not end whole. */
export function sentenceOfEnding(name: string, { ending, cutBytes, goodBytes }: DecodedLog) {
  switch (ending) {
    case "whole":
      return undefined;
    case "torn":
      return `The last ${cutBytes} bytes of ${name} were never written whole and are left out.`;
    case "damaged":
      return `${name} is damaged at byte ${goodBytes}: the ${cutBytes} bytes from there on are not believed.`;
  }
}

function chainOfHeader(header: Buffer): number {
  return crc32(
    header.subarray(headerPlace.salt, headerPlace.bytes),
    header.readUInt32LE(headerPlace.crc),
  );
}

function endingOfHeader(log: Buffer, name: string): LogEnding {
  if (log.length === 0) return "whole";
  if (log.length < headerPlace.bytes) return "torn";
  if (!log.subarray(0, magic.length).equals(magic)) return "damaged";
  const crc = crc32(log.subarray(0, headerPlace.crc));
  if (log.readUInt32LE(headerPlace.crc) !== crc) return "damaged";
  const version = log.readUInt32LE(headerPlace.version);
  if (version > formatVersion) throw JournalVersionError.of(name, version);
  return version === formatVersion ? "whole" : "damaged";
}

function decodeRecord(log: Buffer, at: number, chain: number) {
  if (log.length - at < recordPlace.payload) return undefined;
  const length = log.readUInt32LE(at);
  const end = at + recordPlace.payload + length;
  if (length === 0 || length > recordBytesLimit || end > log.length) return undefined;
  const payload = log.subarray(at + recordPlace.payload, end);
  const crc = crc32(payload, crc32(log.subarray(at, at + recordPlace.crc), chain));
  if (crc !== log.readUInt32LE(at + recordPlace.crc)) return undefined;
  try {
    return { value: decodeValue(payload), end, chain: crc };
  } catch {
    return undefined;
  }
}

/** A record that reaches to the end or beyond, or zeros up to the end, is what a crash leaves; anything else is damage. */
function endingOfRecords(log: Buffer, at: number): LogEnding {
  if (at === log.length) return "whole";
  if (log.length - at < recordPlace.payload) return "torn";
  const reachesEnd = at + recordPlace.payload + log.readUInt32LE(at) >= log.length;
  return reachesEnd || log.subarray(at).every((byte) => byte === 0) ? "torn" : "damaged";
}
