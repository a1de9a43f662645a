/** Docker for tests: whether it is there, its commands, and one project of the real compose file. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Ended, Running } from "../support/cli.ts";

export const repository = fileURLToPath(new URL("../../", import.meta.url));
const composeFile = `${repository}docker/compose.yaml`;
export const baseImage = "node:20-bookworm-slim";

const succeeds = (program: string, ...words: string[]) =>
  spawnSync(program, words, { stdio: "ignore" }).status === 0;

/** Compose v2 where the client has it, else docker-compose. */
const composeCommand = succeeds("docker", "compose", "version")
  ? ["docker", "compose"]
  : ["docker-compose"];

/** Why nothing can be tested here; undefined where all is there. */
export function whyNoDocker(): string | undefined {
  const remedy = "test/docker/engine.sh up";
  if (!succeeds("docker", "info")) return `no Docker Engine answers (${remedy} may start one)`;
  if (!succeeds("docker", "image", "inspect", baseImage)) {
    return `there is no image ${baseImage} (${remedy} may make one)`;
  }
  const [program, ...words] = composeCommand;
  return succeeds(program, ...words, "version") ? undefined : "there is no docker-compose";
}

function start(
  program: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Running {
  const child = spawn(program, words, {
    cwd: repository,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  return new Running(child);
}

export const docker = (...words: string[]): Promise<Ended> => start("docker", words).ended;

/** What a docker command prints; throws where it fails. */
export async function ask(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(...words);
  if (code !== 0) throw new Error(`docker ${words.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** The variables that compose.yaml takes. */
export interface ProjectVariables {
  readonly IMAGE: string;
  readonly TOKEN_FILE: string;
  readonly DATA: string;
  readonly RUN_AS: string;
}

/** One project of the compose file, under a name of its own. */
export class Project {
  readonly name: string;
  readonly #files: readonly string[];
  readonly #variables: ProjectVariables;

  constructor(name: string, variables: ProjectVariables, overrides: readonly string[] = []) {
    this.name = name;
    this.#files = [composeFile, ...overrides].flatMap((file) => ["-f", file]);
    this.#variables = variables;
  }

  start(...words: string[]): Running {
    const [program, ...first] = composeCommand;
    const all = [...first, "-p", this.name, ...this.#files, ...words];
    return start(program, all, { ...this.#variables, ADVERTISE: "head" });
  }

  run(...words: string[]): Promise<Ended> {
    return this.start(...words).ended;
  }

  /** Names of a service's containers, stopped ones too. */
  async containers(service: string): Promise<string[]> {
    const names = await ask(
      ...["ps", "-a", "--format", "{{.Names}}", "--filter", `label=${this.#label}`],
      ...["--filter", `label=com.docker.compose.service=${service}`],
    );
    return names.split("\n").filter((name) => name !== "");
  }

  /** Containers, networks and volumes that exist for this project. */
  async left(): Promise<string[]> {
    const filter = ["--filter", `label=${this.#label}`];
    const lists = await Promise.all([
      ask("ps", "-a", "--format", "container {{.Names}}", ...filter),
      ask("network", "ls", "--format", "network {{.Name}}", ...filter),
      ask("volume", "ls", "--format", "volume {{.Name}}", ...filter),
    ]);
    return lists.flatMap((list) => list.split("\n")).filter((line) => line !== "");
  }

  get #label(): string {
    return `com.docker.compose.project=${this.name}`;
  }
}
