/**
 * Reads BTF, of our own objects and of the kernel (`/sys/kernel/btf/vmlinux`, 6 MB, 150,000 types).
 * Types stay numbers into the data; nothing is built per type but its position.
 */

/** To add a kind, give it a row: how many bytes follow its 12-byte header, per record and per entry. */
const KINDS = [
  { kind: "void", extra: 0, entry: 0 },
  { kind: "int", extra: 4, entry: 0 },
  { kind: "ptr", extra: 0, entry: 0 },
  { kind: "array", extra: 12, entry: 0 },
  { kind: "struct", extra: 0, entry: 12 },
  { kind: "union", extra: 0, entry: 12 },
  { kind: "enum", extra: 0, entry: 8 },
  { kind: "fwd", extra: 0, entry: 0 },
  { kind: "typedef", extra: 0, entry: 0 },
  { kind: "volatile", extra: 0, entry: 0 },
  { kind: "const", extra: 0, entry: 0 },
  { kind: "restrict", extra: 0, entry: 0 },
  { kind: "func", extra: 0, entry: 0 },
  { kind: "func_proto", extra: 0, entry: 8 },
  { kind: "var", extra: 4, entry: 0 },
  { kind: "datasec", extra: 0, entry: 12 },
  { kind: "float", extra: 0, entry: 0 },
  { kind: "decl_tag", extra: 4, entry: 0 },
  { kind: "type_tag", extra: 0, entry: 0 },
  { kind: "enum64", extra: 0, entry: 12 },
] as const;

export type Kind = (typeof KINDS)[number]["kind"];

export interface Btf {
  words: Uint32Array;
  strings: Buffer;
  /** Type id -> position of its header in `words`. */
  at: Uint32Array;
  /** Ids run from 1 to count - 1; 0 is void. */
  count: number;
}

export interface Member {
  name: string;
  type: number;
  /** From the start of the struct that was asked about, in bits: a bit field may start anywhere. */
  bitOffset: number;
  /** Of a bit field; 0 for everything else. */
  bitSize: number;
}

/** The data contradicts itself: it is damaged, or of a format of its own. */
export class BtfError extends Error {
  override readonly name = "BtfError";
}

/**
 * Throws a BtfError; so does every function below that comes upon something that cannot be. `base`: of a module, whose types
 * and strings are numbered on from those of the kernel.
 */
export function parseBtf(data: Uint8Array, base?: Btf): Btf {
  const header = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.byteLength < 24 || header.getUint16(0, true) !== 0xeb9f)
    throw new BtfError("not BTF, or of the other byte order");
  const headerSize = header.getUint32(4, true);
  const part = (what: string, at: number): Uint8Array => {
    const from = headerSize + header.getUint32(at, true);
    const size = header.getUint32(at + 4, true);
    if (from + size <= data.byteLength) return data.subarray(from, from + size);
    throw new BtfError(`its ${what} end at ${from + size}, the data at ${data.byteLength}`);
  };
  const types = part("types", 8);
  const strings = part("strings", 16);
  if (types.byteLength % 4 !== 0) throw new BtfError("its types are no whole number of words");
  // A copy, because a Uint32Array has to start at a multiple of 4.
  const words = new Uint32Array(new Uint8Array(types).buffer);
  const own = Buffer.from(strings.buffer, strings.byteOffset, strings.byteLength);
  if (base === undefined) return { words, strings: own, ...indexTypes(words) };
  const all = new Uint32Array(base.words.length + words.length);
  all.set(base.words);
  all.set(words, base.words.length);
  return { words: all, strings: Buffer.concat([base.strings, own]), ...indexTypes(all) };
}

/** The first type of this kind and name, or null. */
export function findType(btf: Btf, kind: Kind, name: string): number | null {
  const wanted = Buffer.from(`${name}\0`);
  for (let id = 1; id < btf.count; id++) {
    if (kindOf(btf, id) !== kind) continue;
    const from = word(btf, id, 0);
    if (from + wanted.length > btf.strings.length) continue;
    if (btf.strings.compare(wanted, 0, wanted.length, from, from + wanted.length) === 0) return id;
  }
  return null;
}

/**
 * Where a member lies: `findMember(btf, "sock", "__sk_common.skc_daddr")`. Each name of the path is
 * also looked for in unnamed structs and unions. null: this kernel has no such struct or member.
 */
export function findMember(btf: Btf, struct: string, path: string): Member | null {
  let type = findType(btf, "struct", struct);
  let member: Member | null = null;
  let bitOffset = 0;
  for (const name of path.split(".")) {
    member = type === null ? null : memberNamed(btf, type, name, DEEPEST, { left: MOST_MEMBERS });
    if (member === null) return null;
    bitOffset += member.bitOffset;
    type = skipNames(btf, member.type);
  }
  return member && { ...member, bitOffset };
}

/** Members in their order; none for what is no struct or union. */
export function membersOf(btf: Btf, id: number): Member[] {
  const kind = kindOf(btf, id);
  if (kind !== "struct" && kind !== "union") return [];
  const info = word(btf, id, 1);
  return Array.from({ length: vlen(info) }, (_, n) => memberAt(btf, id, info, n));
}

/** Names and values; enum64 included. 32-bit ones are read as signed: old compilers do not say. */
export function enumValuesOf(btf: Btf, id: number): { name: string; value: bigint }[] {
  const wide = kindOf(btf, id) === "enum64";
  const info = word(btf, id, 1);
  const signed = !wide || info >>> 31 === 1;
  return Array.from({ length: vlen(info) }, (_, n) => {
    const entry = 3 + n * (wide ? 3 : 2);
    const low = BigInt(word(btf, id, entry + 1));
    const raw = wide ? low | (BigInt(word(btf, id, entry + 2)) << 32n) : low;
    const value = signed ? BigInt.asIntN(wide ? 64 : 32, raw) : raw;
    return { name: stringAt(btf, word(btf, id, entry)), value };
  });
}

/** The types of a data section's variables: `.maps` lists the maps. */
export function variablesOf(btf: Btf, section: string): { name: string; type: number }[] {
  const id = findType(btf, "datasec", section);
  if (id === null) return [];
  return Array.from({ length: vlen(word(btf, id, 1)) }, (_, n) => {
    const variable = word(btf, id, 3 + n * 3);
    return { name: nameOf(btf, variable), type: referredBy(btf, variable) };
  });
}

export function kindOf(btf: Btf, id: number): Kind {
  return id === 0 ? "void" : KINDS[kindNumber(word(btf, id, 1))]!.kind;
}

export const nameOf = (btf: Btf, id: number): string =>
  id === 0 ? "void" : stringAt(btf, word(btf, id, 0));

/** The type that a pointer, typedef, qualifier or variable refers to. */
export const referredBy = (btf: Btf, id: number): number => word(btf, id, 2);

export const arrayOf = (btf: Btf, id: number): { element: number; length: number } => ({
  element: word(btf, id, 3),
  length: word(btf, id, 5),
});

/** Of an int: `char` and `bool` are encodings of their own in the kernel's BTF, not in clang's. */
export const isSigned = (btf: Btf, id: number): boolean => ((word(btf, id, 3) >>> 24) & 1) === 1;

/** The types of a function's parameters, in their order. */
export function parametersOf(btf: Btf, func: number): number[] {
  const proto = referredBy(btf, func);
  const count = vlen(word(btf, proto, 1));
  return Array.from({ length: count }, (_, n) => word(btf, proto, 4 + n * 2));
}

const NAMES: ReadonlySet<Kind> = new Set(["typedef", "volatile", "const", "restrict", "type_tag"]);

/** The type behind typedefs and qualifiers. */
export function skipNames(btf: Btf, id: number): number {
  for (let n = 0; n < DEEPEST; n++) {
    if (!NAMES.has(kindOf(btf, id))) return id;
    id = referredBy(btf, id);
  }
  throw new BtfError(`type ${id} is a name of itself`);
}

/** In bytes; pointers are those of a 64-bit kernel. */
export function sizeOf(btf: Btf, id: number): number {
  let items = 1;
  for (let n = 0; n < DEEPEST; n++) {
    const type = skipNames(btf, id);
    const kind = kindOf(btf, type);
    if (kind === "ptr") return items * 8;
    if (kind !== "array") return items * word(btf, type, 2);
    const { element, length } = arrayOf(btf, type);
    items *= length;
    id = element;
  }
  throw new BtfError(`type ${id} is an array of itself`);
}

/** Names of names, arrays of arrays: real ones have a handful. */
const DEEPEST = 100;
/** Members looked at for one name, those of unnamed structs included: real structs have some hundred. */
const MOST_MEMBERS = 100_000;

function word(btf: Btf, id: number, n: number): number {
  if (id < 1 || id >= btf.count) throw new BtfError(`there is no type ${id}`);
  return btf.words[btf.at[id]! + n]!;
}

// Wider than the 5 and 16 bits of old kernels; the bits between were zero there.
const kindNumber = (info: number): number => (info >>> 24) & 0x7f;
const vlen = (info: number): number => info & 0xffffff;

function stringAt(btf: Btf, from: number): string {
  const end = from < btf.strings.length ? btf.strings.indexOf(0, from) : -1;
  if (end < 0) throw new BtfError(`the name at ${from} has no end`);
  return btf.strings.toString("utf8", from, end);
}

function indexTypes(words: Uint32Array): { at: Uint32Array; count: number } {
  const at = new Uint32Array(Math.ceil(words.length / 3) + 1);
  let count = 1;
  for (let position = 0; position < words.length; count++) {
    const info = words[position + 1];
    if (info === undefined) throw new BtfError(`type ${count} is cut off`);
    const row = KINDS[kindNumber(info)];
    if (row === undefined || row.kind === "void")
      throw new BtfError(`kind ${kindNumber(info)} of type ${count} is not known`);
    at[count] = position;
    position += 3 + (row.extra + row.entry * vlen(info)) / 4;
    if (position > words.length) throw new BtfError(`type ${count} is cut off`);
  }
  return { at, count };
}

function memberAt(btf: Btf, id: number, info: number, n: number): Member {
  const entry = 3 + n * 3;
  const offset = word(btf, id, entry + 2);
  // The struct's kind_flag: its offsets carry the size of a bit field in their top 8 bits.
  const packed = info >>> 31 === 1;
  return {
    name: stringAt(btf, word(btf, id, entry)),
    type: word(btf, id, entry + 1),
    bitOffset: packed ? offset & 0xffffff : offset,
    bitSize: packed ? offset >>> 24 : 0,
  };
}

/** `levels` and `budget` are for a struct that holds itself without a name, which would never end. */
function memberNamed(
  btf: Btf,
  type: number,
  name: string,
  levels: number,
  budget: { left: number },
): Member | null {
  for (const member of membersOf(btf, type)) {
    if (--budget.left < 0 || levels === 0) throw new BtfError(`type ${type} holds itself`);
    if (member.name === name) return member;
    if (member.name !== "") continue;
    const inner = memberNamed(btf, skipNames(btf, member.type), name, levels - 1, budget);
    if (inner !== null) return { ...inner, bitOffset: inner.bitOffset + member.bitOffset };
  }
  return null;
}
