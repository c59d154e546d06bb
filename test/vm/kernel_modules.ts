// Kernel modules as files: what each says of itself, and the indices that modprobe reads.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

export type KernelModule = {
  path: string;
  /** As lsmod shows it. */
  name: string;
  /** The modules that it needs, by name. */
  depends: string[];
  /** Other names that modprobe may be asked for, with wildcards. */
  aliases: string[];
};

/** The modules among `paths` that `wanted` selects, and all that they need. */
export function dependenciesOf(
  paths: readonly string[],
  wanted: (path: string) => boolean,
): KernelModule[] {
  const byName = new Map(paths.map((path) => [nameOf(path), path]));
  const found = new Map<string, KernelModule>();
  const add = (path: string): void => {
    if (found.has(path)) return;
    const module = readModule(path);
    found.set(path, module);
    for (const name of module.depends) {
      const other = byName.get(name);
      if (other === undefined) throw new Error(`${module.name} needs ${name}, which is not there`);
      add(other);
    }
  };
  for (const path of paths) if (wanted(path)) add(path);
  return [...found.values()];
}

/** modules.dep and modules.alias of modules that lie in one folder. */
export function indexModules(modules: readonly KernelModule[]): { dep: string; alias: string } {
  const byName = new Map(modules.map((module) => [module.name, module]));
  // All that a module needs, the nearest first: modprobe loads them from the last to the first.
  const needs = (module: KernelModule): KernelModule[] =>
    module.depends.flatMap((name) => [byName.get(name)!, ...needs(byName.get(name)!)]);
  const line = (module: KernelModule): string => {
    // Of one that is needed twice the last mention counts.
    const all = needs(module).toReversed();
    const once = [...new Set(all)].toReversed();
    return `${basename(module.path)}: ${once.map(({ path }) => basename(path)).join(" ")}\n`;
  };
  const aliases = modules.flatMap(({ name, aliases: list }) =>
    list.map((alias) => `alias ${alias} ${name}\n`),
  );
  return { dep: modules.map(line).join(""), alias: aliases.join("") };
}

// --- internal ---

/** The section .modinfo is a list of NAME=VALUE, each with a zero byte behind it. */
function readModule(path: string): KernelModule {
  const text = readFileSync(path, "latin1");
  const values = (key: string): string[] =>
    Array.from(text.matchAll(new RegExp(`\\0${key}=([^\\0]*)`, "g")), ([, value]) => value!);
  const depends = (values("depends")[0] ?? "").split(",").filter((name) => name !== "");
  return {
    path,
    name: nameOf(path),
    depends: depends.map(plain),
    aliases: values("alias"),
  };
}

const nameOf = (path: string): string => plain(basename(path, ".ko"));

const plain = (name: string): string => name.replaceAll("-", "_");
