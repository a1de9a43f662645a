/**
 * A message on the wire: a header that MessagePack holds, and a payload of raw bytes that is never encoded.
 *
 * Layout: header length (uint32, little endian), header, zeros up to a multiple of 8, payload. The payload is
 * a fragment of its own in the same WebSocket message, so it is sent from where it lies; the receiver gets it
 * as a view wherever the network left it whole.
 */
import { Packr } from "msgpackr";

const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false });

/** Encodes plain values and typed arrays (kept with their type). */
export function encodeValue(value: unknown): Uint8Array {
  return packr.pack(value);
}

export function decodeValue(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

const lengthBytes = 4;
const alignment = 8;

const paddedLength = (headerBytes: number) =>
  Math.ceil((lengthBytes + headerBytes) / alignment) * alignment;

/** The bytes that stand before the payload. */
export function encodeHeader(message: unknown): Buffer {
  const header = packr.pack(message);
  const frame = Buffer.alloc(paddedLength(header.length));
  frame.writeUInt32LE(header.length, 0);
  frame.set(header, lengthBytes);
  return frame;
}

export interface Frame {
  readonly message: unknown;
  /** Empty where the message has none. */
  readonly payload: Uint8Array;
}

/** Takes a frame apart, however the network cut it. Throws on bytes that are no frame. */
export function decodeFrame(fragments: readonly Uint8Array[]): Frame {
  const first = fragments[0];
  if (first === undefined || first.length < lengthBytes) return decodeWhole(join(fragments));
  const end = paddedLength(viewOf(first).getUint32(0, true));
  // The usual case: our sender put the header in a fragment of its own.
  if (first.length === end) {
    const payload = fragments.length === 2 ? fragments[1] : join(fragments.slice(1));
    return { message: decodeHeader(first), payload };
  }
  return decodeWhole(join(fragments));
}

function decodeWhole(frame: Uint8Array): Frame {
  if (frame.length < lengthBytes) throw new Error("a frame is shorter than its length field");
  const end = paddedLength(viewOf(frame).getUint32(0, true));
  if (frame.length < end) throw new Error("a frame is shorter than its header says");
  return { message: decodeHeader(frame), payload: frame.subarray(end) };
}

function decodeHeader(frame: Uint8Array): unknown {
  const headerBytes = viewOf(frame).getUint32(0, true);
  return packr.unpack(frame.subarray(lengthBytes, lengthBytes + headerBytes));
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function join(fragments: readonly Uint8Array[]): Uint8Array {
  return fragments.length === 1 ? fragments[0] : Buffer.concat(fragments);
}
