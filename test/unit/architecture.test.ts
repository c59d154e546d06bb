/** The arrows between the folders of src, and what only one place may do. */

import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { tracePrograms } from "../../src/record/layout.gen.ts";

const src = join(import.meta.dir, "../../src");
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".d.ts"),
);
const textOf = (file: string) => readFileSync(join(src, file), "utf8");
// Drops `import type`: types may be shared upwards.
const transpiler = new Bun.Transpiler({ loader: "ts" });
const importsOf = (file: string) => transpiler.scanImports(textOf(file)).map(({ path }) => path);

/**
 * The imports that each room may have: a folder, or a file by its path without `.ts`. A file's own row goes before its
 * folder's. To add a part, add a row; an arrow upwards (kernel to guess, conn to output) means that something
 * stands in the wrong place.
 */
const arrows: Readonly<Record<string, readonly string[]>> = {
  index: [
    "library",
    "conn/nat",
    "protocols",
    "public",
    "state",
    "guess",
    "record",
    "output",
    "errors",
  ],
  library: ["options", "trace", "sinks", "state", "guess", "kernel", "conn", "record", "errors"],
  main: ["start", "commands", "errors", "explain", "log", "output"],
  // Evaluated before all others: nothing here may call the kernel as it is imported.
  start: ["runtime", "kernel/elevation", "errors", "log"],
  runtime: ["errors"],
  commands: [
    "embedded",
    "trace",
    "state",
    "check",
    "filter",
    "guess",
    "kernel",
    "conn",
    "record/address",
    "recording",
    "names",
    "sinks",
    "summary",
    "report",
    "top",
    "metrics",
    "export",
    "members",
    "protocols",
    "output",
    "file",
    "errors",
    "log",
    "later",
  ],
  // The sinks of a trace's events, and the loop that feeds them.
  sinks: [
    "trace",
    "recording",
    "filter",
    "state",
    "summary",
    "top",
    "metrics",
    "output",
    "conn",
    "record",
    "errors",
  ],
  // Ways out of this host: a listening socket, a file for another program.
  export: ["metrics", "file", "errors"],
  // Counts events by labels, and the forms in which other engines take the counts.
  metrics: ["conn", "members", "protocols/stack", "output/escape", "record"],
  // Sums over many events, and the tables of them.
  summary: ["conn", "output", "protocols/stack", "record"],
  // The page that shows a recording in a browser.
  report: ["summary", "conn", "output", "protocols/stack", "record"],
  // The live view: events, rows, screen.
  top: ["state", "summary/groups", "conn", "output", "protocols/stack", "record"],
  names: ["conn", "kernel/host_names", "record"],
  trace: [
    "guess",
    "kernel",
    "conn",
    "members",
    "protocols",
    "record",
    "embedded",
    "errors",
    "explain",
    "log",
  ],
  check: ["kernel", "record", "explain", "output/escape"],
  guess: ["options", "kernel", "record", "embedded", "file", "errors", "explain", "log"],
  kernel: ["record", "embedded", "errors", "explain", "log", "later"],
  members: ["conn", "protocols", "record"],
  recording: [
    "kernel",
    "output",
    "members",
    "protocols",
    "conn",
    "record",
    "file",
    "errors",
    "later",
  ],
  output: ["conn", "members", "protocols", "record", "kernel/constants", "errors"],
  filter: ["conn", "record", "members", "protocols"],
  // The table of protocols and what recognises them.
  protocols: [],
  conn: ["record"],
  // Types that only the public API has: nothing else imports them.
  public: ["record"],
  state: ["conn", "members", "record", "errors"],
  record: [],
  // Modules of the runtime.
  later: [],
  embedded: [],
  options: [],
  explain: ["errors", "kernel/capability", "kernel/constants"],
  file: ["errors", "later"],
  errors: ["output/escape"],
  log: ["output/escape"],
  "output/escape": [],
  // Runs before there is a program: reads the objects that were just compiled.
  build: ["kernel/btf"],
  // Writes the documents that the command tree and the tables of the output make.
  "build/documents": ["commands", "kernel/bpf_uses", "kernel/feature_table"],
};

const within = (file: string, part: string) => file === part || file.startsWith(`${part}/`);
const partOf = (file: string) =>
  Object.keys(arrows)
    .filter((part) => within(file, part))
    .sort((a, b) => b.length - a.length)[0];

describe("imports run one way", () => {
  test.each(files)("from %s", (file) => {
    const from = partOf(file.replace(/\.ts$/, ""));
    expect(from, `${file} belongs to no part: add a row to arrows`).toBeDefined();
    const folder = from!.split("/")[0]!;
    const allowed = [...arrows[from!]!, ...(folder === from ? [folder] : [])];
    const ours = importsOf(file)
      .filter((path) => path.startsWith("."))
      .map((path) => normalize(join(dirname(file), path)).replace(/\.ts$/, ""));
    const wrong = ours.filter(
      // Outside src lie only package.json and the files to embed, which import nothing.
      (target) => !target.startsWith("..") && !allowed.some((part) => within(target, part)),
    );
    expect(wrong).toEqual([]);
  });
});

/** To add a privilege, add a row: what gives it away in the text, and who may have it. */
test.each<[string, RegExp, (file: string) => boolean]>([
  ["imports bun:ffi", /["']bun:ffi["']/, (file) => file.startsWith("kernel/")],
  [
    "asks the DNS",
    /(from |import\(|require\()["'](node:)?dns\b|node:dns|Bun\.dns/,
    (file) => file === "names/dns.ts",
  ],
  [
    "calls process.exit",
    /\bprocess\.(exit|reallyExit|abort)\(/,
    (file) => ["main.ts", "start.ts"].includes(file),
  ],
  ["listens to signals", /\bprocess\.on\("SIG|"SIGINT"/, (file) => file === "commands/stop.ts"],
  // Everything else prints through output/writer.ts (stdout) or log.ts (stderr).
  [
    "uses console or process.stdout",
    /\bconsole\.|\bprocess\.stdout\b/,
    (file) => file.startsWith("build/"),
  ],
  ["writes to fd 1", /\bwrite(Sync)?\(1,/, (file) => file === "output/writer.ts"],
  ["writes to fd 2", /\bwrite(Sync)?\(2,/, (file) => file === "log.ts"],
  [
    "listens for others",
    /\bBun\.(listen|serve|udpSocket)\b|createServer\(/,
    (file) => file === "export/http.ts",
  ],
  // They would wait for entropy: see kernel/random.ts.
  ["asks crypto for random numbers", /\bcrypto\b|getRandomValues|randomUUID/, () => false],
  ["sends to others", /\bfetch\(/, (file) => file === "export/otlp.ts"],
  ["compiles text", /\bnew Function\b|\beval\(/, (file) => file === "output/straight/compile.ts"],
  ["holds a raw escape code", /\\x1b|\\u001b|\\033|\p{Cc}(?<![\n\r\t])/iu, () => false],
])("only the right place %s", (_, sign, mayHave) => {
  const holders = files.filter((file) => sign.test(withoutComments(textOf(file))));
  expect(holders.filter((file) => !mayHave(file))).toEqual([]);
});

const pure = files.filter(
  (file) =>
    /^(conn|members|metrics|protocols|public|record|filter|output|report|state|summary|top)\/|^recording\/(codec|event|format|parse)|^guess\/(solve|shape|file_format|snapshot_format|report|fields)|^trace\/(event|health\/losses|stream\/(apply|queue|show)|tcp\/(accepts|opens))\.|^(explain|runtime)|^check\/(findings|parse|report)|^commands\/(strict|nearest|help|flags|expectation|wrong|manual|reference)/.test(
      file,
    ) && file !== "output/writer.ts",
);

test("the parts that are pure reach for nothing outside", () => {
  expect(pure.length).toBeGreaterThan(15);
  const impure =
    /(?<!`)\b(process|fetch)\.|\bBun\.(?!stringWidth|hash\.crc32)|\bDate\.now\(|\bperformance\.|\bMath\.random\(/;
  for (const file of pure) {
    const outside = importsOf(file).filter(
      (path) => /^(node|bun):/.test(path) && path !== "node:util",
    );
    expect([file, ...outside]).toEqual([file]);
    expect([file, impure.exec(withoutComments(textOf(file)))?.[0]]).toEqual([file, undefined]);
  }
});

describe("a part of the trace is named by the list of parts, and by no other file outside its folder", () => {
  const list = "trace/parts.ts";
  const folderOf = (file: string) => dirname(file);
  const bpf = join(src, "../bpf");
  const folders = [...new Set(importedBy(list).map(folderOf))].filter((path) => path !== "trace");
  const outside = (folder: string) => files.filter((file) => folderOf(file) !== folder);

  test("the list has parts of several folders, each with its own in bpf", () => {
    expect(withMaps.length).toBeGreaterThanOrEqual(3);
    for (const folder of folders) expect(folder).toMatch(/^trace\/\w+$/);
    const headers = readdirSync(bpf, { withFileTypes: true }).filter((of) => of.isDirectory());
    expect(headers.map(({ name }) => `trace/${name}`)).toEqual(expect.arrayContaining(withMaps));
  });

  test.each(folders)("no other file imports from %s, types neither", (folder) => {
    const importers = outside(folder).filter((file) =>
      importedBy(file).some((path) => folderOf(path) === folder),
    );
    expect(importers).toEqual([list]);
  });

  const withMaps = folders.filter((folder) => mapsOf(folder).length > 0);
  test.each(withMaps)("no other file names a map of %s", (folder) => {
    const names = mapsOf(folder);
    const holders = outside(folder).filter((file) =>
      names.some((name) => quotes(textOf(file), name)),
    );
    expect(holders.filter(isOurs)).toEqual([]);
  });

  test("one folder names each program", () => {
    const texts = files
      .filter(isOurs)
      .map((file) => ({ folder: folderOf(file), text: textOf(file) }));
    // The trace itself empties batches; any part may have socks copied.
    const ofAllParts = new Set<string>(["run_batch", "run_sock_copy"]);
    const programs = tracePrograms.filter((program) => !ofAllParts.has(program));
    expect(programs.length).toBeGreaterThan(40);
    for (const program of programs) {
      const holders = texts.filter(({ text }) => quotes(text, program));
      const named = new Set(holders.map(({ folder }) => folder));
      expect([program, ...named]).toEqual([program, expect.any(String)]);
      expect(folders).toEqual(expect.arrayContaining([...named]));
    }
  });

  test("of its folders only opening imports from another one, which is stream; types neither", () => {
    const between = files
      .filter((file) => /^trace\/\w+\//.test(file))
      .flatMap((file) =>
        importedBy(file)
          .map(folderOf)
          .filter((to) => to.startsWith("trace/") && to !== folderOf(file))
          .map((to) => `${folderOf(file)} > ${to}`),
      );
    expect([...new Set(between)]).toEqual(["trace/opening > trace/stream"]);
  });

  test("no folder of the trace imports the list of parts, nor the verbs that take it", () => {
    const ends = ["parts", "tracer", "running"].map((name) => `trace/${name}.ts`);
    const importers = files.filter(
      (file) => /^trace\/\w+\//.test(file) && importedBy(file).some((path) => ends.includes(path)),
    );
    expect(importers).toEqual([]);
  });

  /** The guess has an object of its own. */
  const isOurs = (file: string) => !/^(guess\/|record\/layout\.gen)/.test(file);
  const quotes = (text: string, name: string) => new RegExp(`["'\`]${name}["'\`]`).test(text);

  function importedBy(file: string): string[] {
    const paths = textOf(file).matchAll(/\bfrom "(\.[^"]+)"/g);
    return Array.from(paths, ([, path]) => normalize(join(dirname(file), path!)));
  }

  /** Of the headers of the same subject. */
  function mapsOf(folder: string): string[] {
    const headers = join(bpf, folder.replace("trace/", ""));
    if (!existsSync(headers)) return [];
    const texts = readdirSync(headers).map((file) => readFileSync(join(headers, file), "utf8"));
    return texts.flatMap((text) =>
      Array.from(text.matchAll(/^\} (\w+) SEC\("\.maps"\)/gm), ([, map]) => map!),
    );
  }
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[^]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
