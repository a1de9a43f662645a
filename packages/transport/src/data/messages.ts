/** What is said on a data port: who dialled asks for blocks, the other side sends them in pieces. */
import { z } from "zod";
import { reader } from "../reader.ts";

const count = z.number().int().nonnegative();

const requestSchema = z.discriminatedUnion("type", [
  /** The rest of a block, from `offset` on; `bytes` is the length of all of it. `pull` names the answer. */
  z.object({
    type: z.literal("pull"),
    pull: count,
    job: z.string().min(1).max(100),
    block: count,
    offset: count,
    bytes: count.positive(),
  }),
  /** All before this byte has been taken. */
  z.object({ type: z.literal("taken"), pull: count, through: count }),
  /** No more of it is wanted. */
  z.object({ type: z.literal("cancel"), pull: count }),
]);

const answerSchema = z.discriminatedUnion("type", [
  /** The payload lies at `offset` in the block. */
  z.object({ type: z.literal("piece"), pull: count, offset: count, crc: count }),
  /** There is no such block here. */
  z.object({ type: z.literal("absent"), pull: count }),
  /** There is, and it cannot be sent. */
  z.object({ type: z.literal("failed"), pull: count, reason: z.string().max(1_000) }),
]);

export type DataRequest = z.infer<typeof requestSchema>;
export type DataAnswer = z.infer<typeof answerSchema>;

export const readDataRequest = reader<DataRequest>(requestSchema, "a worker that asks for data");
export const readDataAnswer = reader<DataAnswer>(answerSchema, "a worker that sends data");
