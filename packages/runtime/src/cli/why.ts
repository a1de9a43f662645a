/** `runtime why`. */
import type { Explanation } from "@fascicle/transport";
import type { Command } from "commander";
import { connect } from "../client/connect.ts";
import { UsageError } from "../errors.ts";
import { readJoinString } from "./joinString.ts";

interface WhyOptions {
  join?: string;
  joinFile?: string;
  json?: boolean;
}

export function addWhyCommand(program: Command): void {
  program
    .command("why")
    .description("say what a fit, a worker or a host is waiting for, and its story")
    .argument(
      "[ID]",
      "a fit, a host, or the beginning of one, or the pid of a worker (default: everything)",
    )
    .option("--join <JOIN_STRING>", "the head (default: RUNTIME_JOIN, else your head on this host)")
    .option("--join-file <FILE>", "read the join string from a file")
    .option("--json", "print one JSON object")
    .action(async (id: string | undefined, options: WhyOptions) => {
      const cluster = await connect(readJoinString(options.join, options.joinFile));
      try {
        const explanations = await cluster.why(id);
        if (id !== undefined && explanations.length === 0) {
          throw new UsageError(
            `Nothing here is called "${id}": \`runtime status\` shows fits and hosts.`,
          );
        }
        process.stdout.write(
          options.json
            ? `${JSON.stringify({ explanations })}\n`
            : renderExplanations(explanations, id !== undefined),
        );
      } finally {
        await cluster.close();
      }
    });
}

/** The text that people read; with `isWhole`, stories as well. */
export function renderExplanations(explanations: readonly Explanation[], isWhole: boolean): string {
  if (explanations.length === 0) {
    return "Nothing is waiting: no fit is running, and no worker has joined.\n";
  }
  const blocks = explanations.map(({ kind, id, name, sentence, story }) => {
    const title = kind === "worker" ? `worker ${name}` : `${kind} ${id}${name && ` (${name})`}`;
    const lines = isWhole ? story.map((entry) => `  ${timeOf(entry.atMs)}  ${entry.text}`) : [];
    return [`${title}: ${sentence}`, ...lines].join("\n");
  });
  return `${blocks.join("\n")}\n`;
}

const timeOf = (atMs: number) => new Date(atMs).toISOString().slice(11, 23);
