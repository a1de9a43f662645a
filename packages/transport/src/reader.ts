import type { z } from "zod";

/** Reads a message of one kind; throws a one-line error on anything else. */
export function reader<T>(schema: z.ZodType<T>, sender: string): (message: unknown) => T {
  return (message) => {
    const result = schema.safeParse(message);
    if (result.success) return result.data;
    const issue = result.error.issues[0];
    throw new Error(
      `unexpected message from ${sender} (${issue.path.join(".")}: ${issue.message})`,
    );
  };
}
