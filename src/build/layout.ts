/**
 * Writes src/record/layout.gen.ts from BTF: a reader and a writer for every struct that crosses
 * between the kernel programs and TypeScript, every enum of the shared headers, and the names of each
 * object's programs and maps, with the maps' sizes. TypeScript spells none of these numbers and names again.
 */
import {
  arrayOf,
  enumValuesOf,
  isSigned,
  kindOf,
  membersOf,
  nameOf,
  referredBy,
  sizeOf,
  skipNames,
  variablesOf,
  type Btf,
  type Member,
} from "../kernel/btf.ts";

/** C source whose BTF holds every struct and enum that the headers define: clang drops unused types. */
export function probeSource(headers: Readonly<Record<string, string>>): string {
  const types = Object.values(headers).flatMap((text) => [
    ...text.matchAll(/^(struct|enum) (\w+) \{/gm),
  ]);
  const uses = types.map(([, kind, name]) => `${kind} ${name} use_${name};\n`);
  const includes = Object.keys(headers).map((name) => `#include "${name}"\n`);
  return [...includes, ...uses].join("");
}

/** `probe` is the BTF of probeSource; `objects` that of each BPF object, by its name in code. */
export function generateLayout(probe: Btf, objects: Record<string, Btf>): string {
  const sources = new Map<string, string>();
  for (const [btf, id] of crossingTypes(probe, Object.values(objects))) {
    const name = nameOf(btf, id);
    const source = kindOf(btf, id) === "struct" ? structSource(btf, id) : enumSource(btf, id);
    if ((sources.get(name) ?? source) !== source)
      throw new Error(`${name} has two layouts: one of the objects was built from another header`);
    sources.set(name, source);
  }
  const named = Object.entries(objects).map(([name, btf]) => programsSource(name, btf));
  const used = [...sources.values()].filter((source) => source !== "");
  return [HEADER, ...used, ...named, mapsSource("trace", objects["trace"]!)].join("\n");
}

const HEADER = `// Generated from bpf/*.h by build.ts: run "bun run build", do not edit.
/* Little-endian, as every machine we run on. \`_pad\` members are left out. */

/** The part of the buffer that the view shows, and nothing beyond it: throws a RangeError as the view itself does. */
function bytesAt(view: DataView, p: number, length: number): Uint8Array {
  if (p + length > view.byteLength) throw new RangeError("Out of bounds access");
  return new Uint8Array(view.buffer, view.byteOffset + p, length);
}
`;

type Typed = [Btf, number];

/** The types of the headers, and every struct that is a key or a value of a map. */
function crossingTypes(probe: Btf, objects: Btf[]): Typed[] {
  const types: Typed[] = [];
  for (const id of typeIds(probe))
    if (["struct", "enum", "enum64"].includes(kindOf(probe, id))) types.push([probe, id]);
  for (const btf of objects)
    for (const map of variablesOf(btf, ".maps"))
      for (const member of membersOf(btf, map.type))
        if (member.name === "key" || member.name === "value")
          types.push([btf, skipNames(btf, referredBy(btf, member.type))]);
  return types.filter(([btf, id]) => nameOf(btf, id) !== "" && kindOf(btf, id) !== "int");
}

const typeIds = (btf: Btf): number[] => Array.from({ length: btf.count - 1 }, (_, n) => n + 1);

function structSource(btf: Btf, id: number): string {
  const name = camel(nameOf(btf, id));
  const value = lowerFirst(name);
  const members = membersOf(btf, id).filter((member) => !member.name.startsWith("_pad"));
  const each = (line: (member: Member, field: Field) => string): string =>
    members.map((member) => line(member, fieldOf(btf, member))).join("\n");
  const sources: Record<Shape, () => string> = {
    size: () => `export const ${value}Size = ${sizeOf(btf, id)};`,
    type: () => `export interface ${name} {
${each((member, field) => `  ${member.name}: ${field.type};`)}
}`,
    read: () => `export function read${name}(view: DataView, p: number): ${name} {
  return {
${each((member, field) => `    ${member.name}: ${field.read},`)}
  };
}`,
    write: () => `export function write${name}(view: DataView, p: number, value: ${name}): void {
${each((member, field) => `  ${field.write(`value.${member.name}`)};`)}
}`,
    view: () => viewSource(btf, name, members),
    places: () => placesSource(btf, id),
    table: () => tableSource(btf, id),
  };
  const shapes = SHAPES[nameOf(btf, id)] ?? USUAL;
  return shapes.map((shape) => `${sources[shape]()}\n`).join("");
}

/**
 * The forms in which TypeScript has a struct. `view` reads a member when it is asked for: for structs that come by the
 * thousand. `places` are constants that say where each member lies, for what is read and written without any object.
 * `table` has them in an object, each with the member's size.
 */
type Shape = "size" | "type" | "read" | "write" | "view" | "places" | "table";

const USUAL: readonly Shape[] = ["size", "type", "read", "write"];
const READ: readonly Shape[] = ["size", "type", "read"];
const WRITTEN: readonly Shape[] = ["size", "type", "write"];

/** Structs that are needed in other forms than the usual ones. test/unit/exports.test.ts finds a form that nobody uses. */
const SHAPES: Readonly<Record<string, readonly Shape[]>> = {
  event: [...USUAL, "view", "places", "table"],
  ends: [...USUAL, "view"],
  owner: [...USUAL, "view"],
  event_batch: ["places"],
  sample: [...USUAL, "places"],
  translation: ["size", "type", "write", "table"],
  spill_key: READ,
  holder: READ,
  held_sock: ["size", "type", "write", "view"],
  program_args: READ,
  first_name: READ,
  accepted: READ,
  begun: READ,
  failed_key: ["size"],
  flow_key: WRITTEN,
  naming: WRITTEN,
  sock_functions: WRITTEN,
  conntrack_layout: WRITTEN,
  gate: READ,
  lease: READ,
  payload: READ,
  datagram_look: READ,
  payload_layout: WRITTEN,
  conntrack_copy: READ,
  guess_command: WRITTEN,
  guess_answer: READ,
  chunk: READ,
  ring_prefix: ["size"],
  wait_request: ["size", "type", "write"],
  line_step: WRITTEN,
  line_moment: WRITTEN,
  line_conditions: ["size", "places"],
  line_endpoint: WRITTEN,
  line_group: WRITTEN,
  line_pairs: ["size", "type", "read", "write"],
  line_holder: WRITTEN,
  line_keys: WRITTEN,
  line_batch: ["size", "places"],
  // Of the kernel side alone.
  live: [],
  newborn: [],
  attempt: [],
  receive: [],
  named: [],
  elsewhere: [],
};

function viewSource(btf: Btf, name: string, members: readonly Member[]): string {
  return `/** Read where it lies, member by member, when asked. A u64 also as a number, exact up to 2^53. */
export class ${name}View implements ${name} {
  readonly view: DataView;
  readonly p: number;
  constructor(view: DataView, p: number) {
    this.view = view;
    this.p = p;
  }
${members.map((member) => viewGetters(btf, member)).join("\n")}
}`;
}

/** Constants of their own, because a member of an object is looked up each time. */
function placesSource(btf: Btf, id: number): string {
  return placesOf(btf, id, nameOf(btf, id), 0)
    .map(({ name, at }) => `export const ${name.toUpperCase()} = ${at};`)
    .join("\n");
}

function tableSource(btf: Btf, id: number): string {
  const outer = nameOf(btf, id);
  const rows = placesOf(btf, id, outer, 0)
    .filter(({ inside }) => !inside)
    .map(({ name, at, size }) => `  ${name.slice(outer.length + 1)}: [${at}, ${size}],\n`);
  return `/** Where each member lies, and its size. */
export const ${lowerFirst(camel(outer))}Places = {\n${rows.join("")}} as const;`;
}

interface Place {
  name: string;
  at: number;
  size: number;
  /** It is a struct whose members have places of their own. */
  inside: boolean;
}

/** Of the members, and of the members of those that are structs: `event_owner`, `event_owner_uid`. */
function placesOf(btf: Btf, id: number, outer: string, from: number): Place[] {
  return membersOf(btf, id)
    .filter((member) => !member.name.startsWith("_pad"))
    .flatMap((member) => {
      const type = skipNames(btf, member.type);
      const inside =
        kindOf(btf, type) === "struct" && SHAPES[nameOf(btf, type)]?.includes("places") !== true;
      const at = from + member.bitOffset / 8;
      const place = { name: `${outer}_${member.name}`, at, size: bytesOf(btf, type), inside };
      return inside ? [place, ...placesOf(btf, type, place.name, place.at)] : [place];
    });
}

function bytesOf(btf: Btf, type: number): number {
  if (kindOf(btf, type) !== "array") return sizeOf(btf, type);
  const { element, length } = arrayOf(btf, type);
  return length * sizeOf(btf, element);
}

function viewGetters(btf: Btf, member: Member): string {
  const at = member.bitOffset === 0 ? "this.p" : `this.p + ${member.bitOffset / 8}`;
  const kind = kindOf(btf, skipNames(btf, member.type));
  const { type, read } = typeField(btf, member.type, at);
  const own = read.replaceAll("view", "this.view");
  const value = kind === "struct" ? `new ${type}View(this.view, ${at})` : own;
  const getter = `  get ${member.name}() {\n    return ${value};\n  }`;
  if (type !== "bigint") return getter;
  const [low, high] = [at, `this.p + ${member.bitOffset / 8 + 4}`];
  const number = `this.view.getUint32(${low}, true) + this.view.getUint32(${high}, true) * 4294967296`;
  return `${getter}\n  get ${member.name}_number() {\n    return ${number};\n  }`;
}

/** How a member appears in TypeScript: its type and the expressions that read and write it. */
interface Field {
  type: string;
  read: string;
  write: (value: string) => string;
}

function fieldOf(btf: Btf, member: Member): Field {
  if (member.bitSize !== 0 || member.bitOffset % 8 !== 0)
    throw new Error(`${member.name} is a bit field: spell it out in record.h`);
  return typeField(btf, member.type, member.bitOffset === 0 ? "p" : `p + ${member.bitOffset / 8}`);
}

function typeField(btf: Btf, id: number, at: string): Field {
  const type = skipNames(btf, id);
  const kind = kindOf(btf, type);
  if (kind === "struct") {
    const name = camel(nameOf(btf, type));
    return {
      type: name,
      read: `read${name}(view, ${at})`,
      write: (value) => `write${name}(view, ${at}, ${value})`,
    };
  }
  if (kind === "array") return arrayField(btf, type, at);
  if (kind === "int" || kind === "ptr" || kind === "enum") return numberField(btf, type, at);
  throw new Error(`a ${kind} (${nameOf(btf, type)}) cannot cross: use fixed-width numbers`);
}

function numberField(btf: Btf, type: number, at: string): Field {
  const bytes = sizeOf(btf, type);
  const signed = kindOf(btf, type) === "int" && isSigned(btf, type);
  const accessor = `${bytes === 8 ? "Big" : ""}${signed ? "Int" : "Uint"}${bytes * 8}`;
  const order = bytes === 1 ? "" : ", true";
  return {
    type: bytes === 8 ? "bigint" : "number",
    read: `view.get${accessor}(${at}${order})`,
    write: (value) => `view.set${accessor}(${at}, ${value}${order})`,
  };
}

/** Bytes come as a copy, since the buffer they are read from is used again. */
function arrayField(btf: Btf, type: number, at: string): Field {
  const { element, length } = arrayOf(btf, type);
  if (sizeOf(btf, element) !== 1)
    throw new Error("an array of numbers cannot cross: nothing needs one, use members");
  return {
    type: "Uint8Array",
    read: `bytesAt(view, ${at}, ${length}).slice()`,
    write: (value) => `bytesAt(view, ${at}, ${length}).set(${value})`,
  };
}

function enumSource(btf: Btf, id: number): string {
  const name = camel(nameOf(btf, id));
  const values = enumValuesOf(btf, id).map((entry) => `  ${entry.name}: ${entry.value},`);
  return `export const ${name} = {
${values.join("\n")}
} as const;
export type ${name} = (typeof ${name})[keyof typeof ${name}];
`;
}

/** Names that the TypeScript side has to spell right; `tsc` then knows them. */
function programsSource(object: string, btf: Btf): string {
  const GLOBAL = 1; // of BTF_KIND_FUNC's linkage; everything else was inlined
  const programs = typeIds(btf).filter(
    (id) => kindOf(btf, id) === "func" && (btf.words[btf.at[id]! + 1]! & 0xffff) === GLOBAL,
  );
  return `export const ${object}Programs = ${list(programs.map((id) => nameOf(btf, id)))};
export type ${camel(object)}Program = (typeof ${object}Programs)[number];
`;
}

function mapsSource(object: string, btf: Btf): string {
  const maps = variablesOf(btf, ".maps");
  const entries = maps.flatMap(({ name, type }) => {
    const member = membersOf(btf, type).find((one) => one.name === "max_entries");
    // __uint(max_entries, N) is a pointer to an array of N.
    return member === undefined
      ? []
      : [`  ${name}: ${arrayOf(btf, referredBy(btf, member.type)).length},\n`];
  });
  const names = maps.map(({ name }) => `\n  | "${name}"`);
  return `export type ${camel(object)}Map =${names.join("")};
/** max_entries of each, as long as nobody sets another. */
export const ${object}Entries = {
${entries.join("")}} as const;
`;
}

const list = (names: string[]): string =>
  `[\n${names.map((name) => `  "${name}",\n`).join("")}] as const`;

const camel = (name: string): string =>
  name.replace(/(?:^|_)([a-z0-9])/g, (_, first: string) => first.toUpperCase());
const lowerFirst = (name: string): string => name[0]!.toLowerCase() + name.slice(1);
