/** One BPF object in the kernel: chosen programs loaded, constants patched, maps read and written by name. */
import { readFileSync } from "node:fs";
import { patchConstants, patchHelpers, patchLoads, type PlainLoads } from "./elf.ts";
import { close } from "./libc.ts";
import type { BpfObject, MapFill, Shim, TracedProgram } from "./shim.ts";
import { kernelVersionCode } from "./version_code.ts";

export interface ObjectSpec {
  /** How messages name it. */
  name: string;
  /** Path of the ELF image; inside the executable, a /$bunfs path. */
  file: string;
  /** Every program of the object; `load` is the part that this kernel gets. */
  programs: readonly string[];
  load: readonly string[];
  constants: ReadonlyMap<number, bigint>;
  /** The helpers with a placeholder that this kernel has, by number; without it none. */
  helpers?: ReadonlySet<number>;
  /** Of an object whose programs load the kernel's memory. */
  loads?: PlainLoads;
  /** Its programs take the kernel long. */
  large?: boolean;
  /** The programs that functions of the kernel call, instead of a kprobe. */
  traced?: readonly TracedProgram[];
  /** Sizes of maps that differ from what the ELF image says. */
  entries?: Readonly<Record<string, number>>;
  /** false: this kernel has no LRU maps, so that they become plain hash maps. */
  lru?: boolean;
  /** Array maps that are looked into through a mapping; 5.5 and later. */
  mappable?: readonly string[];
}

export interface KernelObject extends Disposable {
  loaded(program: string): boolean;
  progFd(program: string): number;
  mapFd(map: string): number;
  hashMaps(): MapFill[];
  /** Keeps an attachment: its fd is closed, and what it needs undone, when the object is disposed of. */
  own(attachment: Disposable | number): void;
}

/** Throws a KernelError, its log the verifier's words. Programs that are not in `load` never reach the kernel. */
export function loadObject(shim: Shim, spec: ObjectSpec): KernelObject {
  const image = patchConstants(readFileSync(spec.file), spec.constants);
  patchHelpers(image, spec.helpers ?? new Set());
  if (spec.loads !== undefined) patchLoads(image, spec.loads);
  const object: BpfObject = shim.open(image, spec.name);
  const attachments: Disposable[] = [];
  try {
    const code = kernelVersionCode();
    if (code !== null) shim.kernelVersion(object, code);
    for (const program of spec.programs) {
      shim.autoload(object, program, spec.load.includes(program));
    }
    shim.traced(object, spec.traced ?? []);
    for (const [map, entries] of Object.entries(spec.entries ?? {})) {
      shim.mapMaxEntries(object, map, entries);
    }
    for (const map of spec.mappable ?? []) shim.mapMappable(object, map);
    if (spec.lru === false) shim.noLru(object);
    shim.load(object, spec.large);
  } catch (error) {
    shim.close(object);
    throw error;
  }
  return {
    loaded: (program) => spec.load.includes(program),
    progFd: (program) => shim.progFd(object, program),
    mapFd: (map) => shim.mapFd(object, map),
    hashMaps: () => shim.hashMaps(object),
    own(attachment) {
      attachments.push(
        typeof attachment === "number"
          ? { [Symbol.dispose]: () => void close(attachment) }
          : attachment,
      );
    },
    [Symbol.dispose]() {
      for (const attachment of attachments.splice(0)) attachment[Symbol.dispose]();
      shim.close(object);
    },
  };
}
