/**
 * A message on the wire: a header that MessagePack holds, and a payload of raw bytes that is never encoded.
 *
 * Layout, little endian: header length (uint32), number of the frame in its session (uint48; 0 is a mere
 * acknowledgement), number of the last frame that its sender had received (uint48), header, zeros up to a
 * multiple of 8, payload. The payload is a fragment of its own in the same WebSocket message, so it is sent from
 * where it lies; the receiver gets it as a view wherever the network left it whole.
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

/** What travels with a fit: the kernel's parameters, and the file of its signals where hosts may share it. */
export interface KernelPayload {
  readonly parameters: unknown;
  readonly origin?: { readonly module: string; readonly parameters: unknown } | undefined;
}

export const encodeKernelPayload = (payload: KernelPayload): Uint8Array => encodeValue(payload);

/** Throws where the bytes are no such payload. */
export function decodeKernelPayload(bytes: Uint8Array): KernelPayload {
  const payload = decodeValue(bytes) as KernelPayload | null;
  if (typeof payload !== "object" || payload === null || !("parameters" in payload)) {
    throw new Error("a fit came without its kernel's parameters");
  }
  const { parameters, origin } = payload;
  if (origin != null && typeof origin.module !== "string") {
    throw new Error("a fit names the file of its signals in a way that is not known here");
  }
  return { parameters, origin: origin ?? undefined };
}

const numberBytes = 6;
const sequenceAt = 4;
const acknowledgedAt = sequenceAt + numberBytes;
const headerAt = acknowledgedAt + numberBytes;
const alignment = 8;

const paddedLength = (headerBytes: number) =>
  Math.ceil((headerAt + headerBytes) / alignment) * alignment;

/** The bytes that stand before the payload; `writeNumbers` completes them. */
export function encodeHeader(message: unknown): Buffer {
  const header = packr.pack(message);
  const end = headerAt + header.length;
  const frame = Buffer.allocUnsafe(paddedLength(header.length));
  frame.writeUInt32LE(header.length, 0);
  frame.fill(0, sequenceAt, headerAt);
  frame.set(header, headerAt);
  frame.fill(0, end);
  return frame;
}

/** Numbers a frame, before it is sent and each time that it is sent again. */
export function writeNumbers(frame: Buffer, sequence: number, acknowledged: number): void {
  frame.writeUIntLE(sequence, sequenceAt, numberBytes);
  frame.writeUIntLE(acknowledged, acknowledgedAt, numberBytes);
}

/** A mere acknowledgement. */
export function encodeAcknowledgement(acknowledged: number): Buffer {
  const frame = Buffer.alloc(headerAt);
  writeNumbers(frame, 0, acknowledged);
  return frame;
}

export interface Frame {
  /** 0 for a mere acknowledgement. */
  readonly sequence: number;
  readonly acknowledged: number;
  /** The message, for `decodeValue`. */
  readonly header: Uint8Array;
  /** Empty where the message has none. */
  readonly payload: Uint8Array;
}

const noPayload = new Uint8Array(0);

/** Takes a frame apart, however the network cut it. Throws on bytes that are no frame. */
export function decodeFrame(fragments: readonly Buffer[]): Frame {
  const [first] = fragments;
  if (first !== undefined && first.length >= headerAt) {
    const headerBytes = first.readUInt32LE(0);
    // The usual case: our sender put the header in a fragment of its own.
    if (first.length === paddedLength(headerBytes)) {
      return frameOf(first, headerBytes, payloadOf(fragments));
    }
  }
  const whole = join(fragments);
  if (whole.length < headerAt) throw new Error("a frame is shorter than its fixed fields");
  const headerBytes = whole.readUInt32LE(0);
  const end = paddedLength(headerBytes);
  if (whole.length < end) throw new Error("a frame is shorter than its header says");
  return frameOf(whole, headerBytes, whole.subarray(end));
}

/** What stands in the fragments after the first. */
function payloadOf(fragments: readonly Buffer[]): Uint8Array {
  if (fragments.length === 1) return noPayload;
  return fragments.length === 2 ? fragments[1] : Buffer.concat(fragments.slice(1));
}

function frameOf(frame: Buffer, headerBytes: number, payload: Uint8Array): Frame {
  const sequence = frame.readUIntLE(sequenceAt, numberBytes);
  if (sequence === 0 && headerBytes + payload.length > 0) {
    throw new Error("an acknowledgement carries a message");
  }
  return {
    sequence,
    acknowledged: frame.readUIntLE(acknowledgedAt, numberBytes),
    header: frame.subarray(headerAt, headerAt + headerBytes),
    payload,
  };
}

function join(fragments: readonly Buffer[]): Buffer {
  return fragments.length === 1 ? fragments[0] : Buffer.concat(fragments);
}
