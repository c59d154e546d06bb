/** A built BPF object as the loader sees it: its kprobe programs, and the maps they name. */
import {
  arrayOf,
  membersOf,
  parseBtf,
  referredBy,
  sizeOf,
  skipNames,
  variablesOf,
  type Btf,
} from "../../src/kernel/btf.ts";
import { decode, type BpfMap, type Slots, type Target } from "./bpf_instruction.ts";

export interface Program {
  name: string;
  slots: Slots;
  /** Where an instruction comes from, like "bpf/conn.h:88"; for messages. */
  sourceOf: (at: number) => string;
}

const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 16;
const CALL = 0x85;
const LD_IMM64 = 0x18;
const PLAIN_MEMBERS = new Set("type max_entries key key_size value value_size".split(" "));

interface Section {
  name: string;
  bytes: Buffer;
}

interface Symbol {
  name: string;
  isFunction: boolean;
  section: number;
  value: number;
  size: number;
}

export function readKprobePrograms(file: Buffer): Program[] {
  const sections = sectionsOf(file);
  const named = (name: string): Buffer =>
    sections.find((section) => section.name === name)?.bytes ?? Buffer.alloc(0);
  const symbols = symbolsOf(named(".symtab"), named(".strtab"));
  const btf = parseBtf(named(".BTF"));
  const maps = mapsOf(btf);
  const lines = linesOf(named(".BTF.ext"), btf);

  return symbols.flatMap(({ name, isFunction, section, value, size }) => {
    const { name: place, bytes } = sections[section] ?? { name: "", bytes: file };
    if (!isFunction || !/^k(ret)?probe\//.test(place)) return [];
    const targets = new Map<number, Target>();
    for (const [at, symbol] of relocationsOf(named(`.rel${place}`), symbols)) {
      const home = sections[symbol.section]?.name ?? "nowhere";
      const map = home === ".maps" ? maps.get(symbol.name) : undefined;
      targets.set((at - value) / 8, map ?? `${home} ${symbol.name}`.trim());
    }
    const sourceOf = (at: number): string =>
      lines.findLast((line) => line.section === place && line.at <= value + at * 8)?.source ?? "?";
    return [{ name, slots: decode(bytes.subarray(value, value + size), targets), sourceOf }];
  });
}

export interface Uses {
  /** Numbers in enum bpf_func_id, those behind a placeholder among them. */
  helpers: number[];
  /** Numbers in enum bpf_map_type. */
  mapTypes: number[];
  /** The sections that hold programs, up to the last slash: `kprobe`, `raw_tp`. */
  sections: string[];
}

/** `magic`: the high word of a helper's placeholder. */
export function readUses(file: Buffer, magic: number): Uses {
  const sections = sectionsOf(file);
  const programs = sections.filter(({ name }) => /^([a-z]\w*\/|tc$)/.test(name));
  const helpers = programs.flatMap(({ bytes }) =>
    Array.from({ length: bytes.length / 8 }, (_, n) => n * 8).flatMap((at) => {
      const [opcode, registers] = [bytes[at], bytes[at + 1]!];
      if (opcode === CALL && registers >> 4 === 0) return [bytes.readUInt32LE(at + 4)];
      const held = opcode === LD_IMM64 && bytes.readUInt32LE(at + 12) === magic;
      return held ? [bytes.readUInt32LE(at + 4)] : [];
    }),
  );
  const btf = sections.find(({ name }) => name === ".BTF")!.bytes;
  const mapTypes = Array.from(mapsOf(parseBtf(btf)).values(), ({ type }) => type);
  return { helpers, mapTypes, sections: programs.map(({ name }) => name.replace(/\/[^/]*$/, "")) };
}

function sectionsOf(file: Buffer): Section[] {
  const headers = Number(file.readBigUInt64LE(0x28));
  const headerSize = file.readUInt16LE(0x3a);
  const raw = Array.from({ length: file.readUInt16LE(0x3c) }, (_, n) => {
    const header = headers + n * headerSize;
    const from = Number(file.readBigUInt64LE(header + 0x18));
    const size = Number(file.readBigUInt64LE(header + 0x20));
    return { name: file.readUInt32LE(header), bytes: file.subarray(from, from + size) };
  });
  const names = raw[file.readUInt16LE(0x3e)]!.bytes;
  return raw.map(({ name, bytes }) => ({ name: textAt(names, name), bytes }));
}

const symbolsOf = (table: Buffer, names: Buffer): Symbol[] =>
  Array.from({ length: table.length / SYMBOL_SIZE }, (_, n) => {
    const from = n * SYMBOL_SIZE;
    return {
      name: textAt(names, table.readUInt32LE(from)),
      isFunction: (table[from + 4]! & 15) === 2,
      section: table.readUInt16LE(from + 6),
      value: Number(table.readBigUInt64LE(from + 8)),
      size: Number(table.readBigUInt64LE(from + 16)),
    };
  });

/** Byte offset in the section, and the symbol that goes there. */
const relocationsOf = (table: Buffer, symbols: Symbol[]): [number, Symbol][] =>
  Array.from({ length: table.length / RELOCATION_SIZE }, (_, n) => {
    const from = n * RELOCATION_SIZE;
    return [Number(table.readBigUInt64LE(from)), symbols[table.readUInt32LE(from + 12)]!];
  });

/** `__uint(name, n)` is a pointer to an array of n, `__type(name, T)` a pointer to T. */
function mapsOf(btf: Btf): Map<string, BpfMap> {
  const maps = variablesOf(btf, ".maps").map(({ name, type }) => {
    const members = membersOf(btf, skipNames(btf, type));
    const pointed = (member: string): number | null => {
      const found = members.find((candidate) => candidate.name === member);
      return found ? skipNames(btf, referredBy(btf, found.type)) : null;
    };
    const number = (member: string): number | null => {
      const array = pointed(member);
      return array === null ? null : arrayOf(btf, array).length;
    };
    const size = (member: string): number => {
      const shown = pointed(member);
      return shown === null ? number(`${member}_size`)! : sizeOf(btf, shown);
    };
    const extras = members.map((m) => m.name).filter((member) => !PLAIN_MEMBERS.has(member));
    const sizes = { key_size: size("key"), value_size: size("value") };
    return [name, { name, type: number("type")!, ...sizes, extras }] as const;
  });
  return new Map(maps);
}

/** The line table of .BTF.ext: per section its name, a count, and records of 16 bytes or more. */
function linesOf(ext: Buffer, btf: Btf): { section: string; at: number; source: string }[] {
  if (ext.length === 0) return [];
  let from = ext.readUInt32LE(4) + ext.readUInt32LE(16);
  const end = from + ext.readUInt32LE(20);
  const recordSize = ext.readUInt32LE(from);
  const lines = [];
  for (from += 4; from < end;) {
    const section = textAt(btf.strings, ext.readUInt32LE(from));
    const count = ext.readUInt32LE(from + 4);
    from += 8;
    for (let n = 0; n < count; n++, from += recordSize) {
      const path = textAt(btf.strings, ext.readUInt32LE(from + 4)).replace(/^.*(?=bpf\/)/, "");
      const line = ext.readUInt32LE(from + 12) >>> 10;
      // 0: the compiler's own; the line before says more.
      if (line > 0) lines.push({ section, at: ext.readUInt32LE(from), source: `${path}:${line}` });
    }
  }
  return lines;
}

const textAt = (names: Buffer, from: number): string =>
  names.toString("utf8", from, names.indexOf(0, from));
