/**
 * Debian's packages, through apt: it finds mirror and proxy in the host's own configuration, and checks signatures and
 * hashes. Used by the build, by the virtual machines of the tests, and by the benches.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BuildError, say } from "./step.ts";

/** A package that must be installed. */
export interface Needed {
  name: string;
  /** A file that only it brings. */
  proof: string;
}

/** As root on Debian and Ubuntu installs what is missing; anybody else is told the one command. `who` needs them. */
export function installMissing(who: string, wanted: readonly Needed[]): void {
  const missing = wanted.filter(({ proof }) => !existsSync(proof)).map(({ name }) => name);
  if (missing.length === 0) return;
  const names = missing.join(", ");
  if (!existsSync("/usr/bin/apt-get"))
    throw new BuildError(`${who} needs ${names}: install what this distribution calls so`);
  const install = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0)
    throw new BuildError(`${who} needs ${names}: run\n  sudo sh -c 'apt-get update && ${install}'`);
  say("installing with apt", missing.join(" "));
  for (const command of ["apt-get update", install]) apt(command);
  const still = wanted.filter(({ proof }) => !existsSync(proof)).map(({ proof }) => proof);
  if (still.length > 0)
    throw new BuildError(`apt installed everything, but ${still.join(", ")} is not there`);
}

/**
 * Options for apt to work with a state of its own in `directory`, so that nothing of the host's apt changes. `architectures`
 * are Debian's names, the first is its native one. `settings` come on top. The host's sources are read unless they say
 * otherwise.
 */
export function ownState(
  directory: string,
  architectures: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): string[] {
  mkdirSync(join(directory, "lists/partial"), { recursive: true });
  mkdirSync(join(directory, "cache/archives/partial"), { recursive: true });
  const all = {
    "Dir::State": directory,
    "Dir::State::lists": join(directory, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(directory, "cache"),
    "APT::Architecture": architectures[0]!,
    "APT::Sandbox::User": "",
    "APT::Update::Post-Invoke-Success": "",
    ...settings,
  };
  const lines = [
    "#clear APT::Architectures;",
    `APT::Architectures { ${architectures.map((name) => `"${name}"; `).join("")}};`,
    "#clear APT::Update;",
    "#clear DPkg::Post-Invoke;",
    ...Object.entries(all).map(([name, value]) => `${name} "${value}";`),
    "",
  ];
  const file = join(directory, "apt.conf");
  writeFileSync(`${file}.${process.pid}`, lines.join("\n"));
  renameSync(`${file}.${process.pid}`, file);
  // apt reads it last.
  return ["-c", file];
}

// --- internal ---

/** apt speaks while it works: on a slow line this takes minutes. */
function apt(command: string): void {
  const child = Bun.spawnSync(command.split(" "), {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    // Progress, not a result.
    stdout: 2,
    stderr: "inherit",
  });
  if (!child.success)
    throw new BuildError(`${command} failed (exit ${child.exitCode}): its reason is above`);
}
