/** The scripts for shells and the manual page: all of the tree is in them, and bash itself completes with its own. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  aliasesOf,
  behindOf,
  command,
  everyCommand,
  flagsOf,
  group,
  optionsOf,
  repeatOf,
} from "../../src/commands/command.ts";
import { bashScript } from "../../src/commands/completions/bash.ts";
import { fishScript } from "../../src/commands/completions/fish.ts";
import { zshScript } from "../../src/commands/completions/zsh.ts";
import { programName, root } from "../../src/commands/index.ts";
import { manualPage } from "../../src/commands/manual.ts";

/** A tree with what the real one may not have yet, and with every character that some shell reads. */
const nasty = `it's [a]: "b\\c" $d \`e\` (f) {g} -h`;
const made = group("made up", {
  run: command({
    description: nasty,
    flags: {
      events: { type: "string", options: ["open", "close", "fail"], repeat: "list" },
      pid: { type: "string", alias: "p", valueHint: "PID", repeat: "list", description: nasty },
      save: { type: "string", valueHint: "FILE" },
      quick: { type: "boolean", alias: "q", description: nasty },
      word: { type: "positional", options: ["one", "two"], required: false },
    },
    run: () => {},
  }),
});

/** The words that bash offers for a command line; the last word is the one under the cursor. */
function bash(line: readonly string[], tree = root, cwd = import.meta.dir): string[] {
  // Bash gives --flag=value as three words.
  const words = line.flatMap((word) =>
    word.split(/(=)/).filter((part, i) => part !== "" || i === 0),
  );
  const script = `${bashScript("t", tree)}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tracer_bpf; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = Bun.spawnSync(["bash", "--norc", "-c", script, "bash", "t", ...words], { cwd });
  expect(child.stderr.toString()).toBe("");
  return child.stdout.toString().split("\n").filter(Boolean);
}

describe("bash offers", () => {
  const commands = Object.keys(root.subCommands);

  test.each<[string[], string[]]>([
    [[""], commands],
    [["tr"], ["trace"]],
    [["xyz"], []],
    [
      ["offsets", ""],
      ["guess", "verify", "show", "snapshot"],
    ],
    [
      ["offsets", "s"],
      ["show", "snapshot"],
    ],
    [
      ["trace", "--no"],
      ["--no-header", "--no-loopback", "--no-nat", "--no-protocols"],
    ],
    [
      ["trace", "-o", ""],
      ["table", "json", "csv"],
    ],
    [["trace", "--output", "c"], ["csv"]],
    [
      ["trace", "--output="],
      ["table", "json", "csv"],
    ],
    [["trace", "--output=j"], ["json"]],
    [["trace", "--json", "--attach", "k"], ["kprobe"]],
    [["trace", "--duration", ""], []],
    [["trace", ""], []],
    [
      ["completions", ""],
      ["bash", "zsh", "fish"],
    ],
    [["-"], ["--help", "-h", "--version", "-V"]],
    [["version", "--c"], ["--color"]],
    [
      ["version", "--color", ""],
      ["auto", "always", "never"],
    ],
  ])("for %j: %j", (line, offered) => {
    expect(bash(line)).toEqual(offered);
  });

  test("every flag of every command, and nothing else", () => {
    for (const { words, command: here } of everyCommand(root)) {
      const flags = flagsOf(here).flatMap(([name, def]) => [
        `--${name}`,
        ...aliasesOf(def).map((alias) => `-${alias}`),
      ]);
      expect(bash([...words, "-"])).toEqual([...flags, "--help", "-h", "--version", "-V"]);
    }
  });

  test("files where a file is wanted, also with a space in their names", () => {
    const work = mkdtempSync(join(tmpdir(), "completions-test-"));
    try {
      for (const name of ["saved one.json", "saved.json", "other"])
        writeFileSync(join(work, name), "");
      for (const line of [
        ["trace", "--offsets", "sa"],
        ["offsets", "show", "sa"],
        ["offsets", "guess", "--save=sa"],
      ])
        expect(bash(line, root, work).sort()).toEqual(["saved one.json", "saved.json"]);
    } finally {
      rmSync(work, { recursive: true });
    }
  });

  test("the items of a list one by one", () => {
    expect(bash(["run", "--events", "cl"], made)).toEqual(["close"]);
    expect(bash(["run", "--events", "open,"], made)).toEqual([
      "open,open",
      "open,close",
      "open,fail",
    ]);
    expect(bash(["run", "--events", "open,cl"], made)).toEqual(["open,close"]);
  });

  test("the words of an argument", () => {
    expect(bash(["run", ""], made)).toEqual(["one", "two"]);
    expect(bash(["run", "-q", "t"], made)).toEqual(["two"]);
  });

  test("behind -- another command and its words, and none of our flags", () => {
    const work = mkdtempSync(join(tmpdir(), "completions-test-"));
    try {
      for (const name of ["saved one.json", "other"]) writeFileSync(join(work, name), "");
      // Once per directory of PATH that has it.
      expect(new Set(bash(["trace", "--", "basena"]))).toEqual(new Set(["basename"]));
      expect(bash(["trace", "--json", "--", "cat", "sa"], root, work)).toEqual(["saved one.json"]);
      expect(bash(["trace", "--", "cat", "--offsets", "ot"], root, work)).toEqual(["other"]);
      for (const line of [
        ["trace", "--", "cat", "--js"],
        ["trace", "--", "cat", "-o", "cs"],
        ["version", "--", "--co"],
      ])
        expect(bash(line, root, work)).toEqual([]);
      expect(bash(["offsets", "show", "--", "sa"], root, work)).toEqual(["saved one.json"]);
    } finally {
      rmSync(work, { recursive: true });
    }
  });

  test("behind -- what bash-completion knows of another command", () => {
    const line = ["t", "trace", "--json", "--", "cat", "x"];
    const script = `${bashScript("t", root)}
      _command_offset() { echo "from $1"; }
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tracer_bpf`;
    const child = Bun.spawnSync(["bash", "--norc", "-c", script, "bash", ...line]);
    expect(child.stdout.toString()).toBe("from 4\n");
  });

  test("the same when its script is sourced as users do", () => {
    const main = join(import.meta.dir, "../../src/main.ts");
    const line = `source <("$1" "$2" completions bash); complete -p tracer-bpf`;
    const child = Bun.spawnSync(["bash", "--norc", "-c", line, "bash", process.execPath, main]);
    expect(child.stdout.toString()).toBe("complete -F _tracer_bpf tracer-bpf\n");
  });
});

describe("zsh", () => {
  /** zsh's quotes and braces are those of bash: what _arguments and _describe are given is seen by standing in for them. */
  function given(script: string, called: string, behind = false): string[] {
    const body = script.replace(/^if \[ "\$funcstack[^]*$/m, "");
    const [, helper] = /^(\S+__behind)\(\)/m.exec(script)!;
    const stubs = `${helper}() { ${behind}; }; _arguments() { printf '%s\\n' "$@"; }; _describe() { printf '%s\\n' "\${subcommands[@]}"; }`;
    const child = Bun.spawnSync([
      "bash",
      "--norc",
      "-c",
      `${body}\n${stubs}\nstate=command; ${called}`,
    ]);
    expect(child.stderr.toString()).toBe("");
    return child.stdout.toString().split("\n").filter(Boolean);
  }
  const script = zshScript(programName, root);

  test("has a function per command, with a spec per spelling of each flag", () => {
    for (const { words, command: here } of everyCommand(root)) {
      if (here.run === null) continue;
      const specs = given(script, ["", programName, ...words].join("_"));
      for (const [name, def] of flagsOf(here)) {
        const valued = def.type !== "boolean";
        const all = [...aliasesOf(def).map((alias) => `-${alias}`), `--${name}`];
        // A flag that may be repeated excludes nothing, not even itself.
        const excluded = repeatOf(def) === null ? `(${all.join(" ")})` : "*";
        for (const spelling of all) {
          const form = valued && spelling.startsWith("--") ? `${spelling}=` : spelling;
          const spec = specs.find((text) => text.startsWith(`${excluded}${form}[`));
          expect([spelling, spec !== undefined]).toEqual([spelling, true]);
          const options = optionsOf(def)?.join(" ");
          const offer = repeatOf(def) === "list" ? `_values -s , value ${options}` : `(${options})`;
          if (options !== undefined) expect(spec).toEndWith(`:${offer}`);
        }
      }
    }
  });

  test("behind -- nothing is ours, in the commands that take another one", () => {
    for (const { words, command: here } of everyCommand(root)) {
      if (here.run === null) continue;
      const called = ["", programName, ...words].join("_");
      expect(given(script, called, true).length === 0).toBe(behindOf(here) !== null);
    }
    // zsh's own table of commands has that name; a local one of ours would hide it from what completes behind --.
    expect(script).not.toMatch(/\blocal\b.*\bcommands\b/);
  });

  test("describes the commands", () => {
    expect(script).toContain("'offsets:find, check and keep");
    expect(script).toMatch(/offsets\) _tracer-bpf_offsets ;;/);
  });

  test("reads no description as its own syntax", () => {
    const specs = given(zshScript("t", made), "_t_run");
    const escaped = `it's \\[a\\]\\: "b\\\\c" $d \`e\` (f) {g} -h`;
    expect(specs).toEqual([
      "-s",
      "-S",
      "*--events=[]:open|close|fail:_values -s , value open close fail",
      `*-p[${escaped}]:PID: `,
      `*--pid=[${escaped}]:PID: `,
      "(--save)--save=[]:FILE:_files",
      `(-q --quick)-q[${escaped}]`,
      `(-q --quick)--quick[${escaped}]`,
      "(--color)--color=[colors\\: auto is on a terminal, unless NO_COLOR is set or TERM is dumb]:auto|always|never:(auto always never)",
      "(-h --help)-h[print this help]",
      "(-h --help)--help[print this help]",
      "(-V --version)-V[print the version]",
      "(-V --version)--version[print the version]",
      "1:word:(one two)",
    ]);
  });

  const zsh = Bun.which("zsh");
  test.skipIf(zsh === null)("reads the scripts without complaint", () => {
    for (const text of [script, zshScript("t", made)]) {
      const child = Bun.spawnSync([zsh!, "-f", "-n", "-c", text]);
      expect(child.stderr.toString()).toBe("");
    }
  });
});

describe("fish", () => {
  test("has a line per command, flag and value", () => {
    const lines = fishScript(programName, root).split("\n");
    for (const { words, command: here } of everyCommand(root)) {
      const seen = words.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
      const mine = lines.filter((line) => line.includes(` -n '${seen}`));
      for (const [name, def] of flagsOf(here)) {
        const line = mine.find((text) => text.includes(` -l ${name} `)) ?? "";
        for (const alias of aliasesOf(def)) expect(line).toContain(` -s ${alias} -l ${name}`);
        const options = optionsOf(def);
        if (options) expect(line).toContain(` -x -a '${options.join(" ")}'`);
        else if (def.valueHint === "FILE") expect(line).toContain(" -r -F ");
        else expect(line.includes(" -x ")).toBe(def.type !== "boolean");
      }
      for (const sub of Object.keys(here.subCommands))
        expect(lines.some((line) => line.includes(` -a ${sub} -d `))).toBe(true);
    }
  });

  test("quotes every description", () => {
    const script = fishScript("t", made);
    expect(script).toContain(
      String.raw`-s q -l quick -d 'it\'s [a]: "b\\c" $d ${"`e`"} (f) {g} -h'`,
    );
    // Without what is quoted nothing is left that fish could read as more than words.
    for (const line of script.split("\n").filter((text) => text.startsWith("complete ")))
      expect(line.replace(/'(?:[^'\\]|\\.)*'/g, "Q")).toMatch(/^[\w -]*$/);
  });

  const fish = Bun.which("fish");
  test.skipIf(fish === null)("offers what the tree has", () => {
    const offers = (line: string): string[] => {
      const asked = `${fishScript(programName, root)}\ncomplete -C '${line}'`;
      const child = Bun.spawnSync([fish!, "--no-config", "-c", asked]);
      return child.stdout
        .toString()
        .split("\n")
        .filter(Boolean)
        .map((row) => row.split("\t")[0]!);
    };
    expect(offers("tracer-bpf ").sort()).toEqual(Object.keys(root.subCommands).sort());
    expect(offers("tracer-bpf trace --output=c")).toEqual(["--output=csv"]);
    expect(offers("tracer-bpf trace -- basena")).toEqual(["basename"]);
    expect(offers("tracer-bpf trace --json -- ls /etc/passw")).toContain("/etc/passwd");
  });
});

describe("the manual page", () => {
  const page = manualPage(programName, "1.2.3", root);
  const plain = page.replaceAll("\\-", "-").replaceAll(/\\f[BIR]/g, "");

  test("has its sections in the usual order", () => {
    expect([...page.matchAll(/^\.SH (.*)$/gm)].map((match) => match[1])).toEqual([
      "NAME",
      "SYNOPSIS",
      "DESCRIPTION",
      "COMMANDS",
      "FLAGS OF EVERY COMMAND",
      "OUTPUT",
      "EXIT STATUS",
      "ENVIRONMENT",
      "EXAMPLES",
    ]);
    expect(page).toStartWith('.TH TRACER\\-BPF 8 "" "tracer\\-bpf 1.2.3" ');
  });

  test("has every command, flag, example and exit code", () => {
    for (const { words, command: here } of everyCommand(root)) {
      for (const example of here.examples)
        expect(plain).toContain(`\n${example.replaceAll('"', "\\(dq")}\n`);
      if (here.run === null) continue;
      const section = plain
        .split(`\n.SS "${[programName, ...words].join(" ")}`)[1]!
        .split("\n.S")[0]!;
      for (const [name, def] of flagsOf(here)) {
        expect(section).toMatch(new RegExp(`^\\.TP\\n(-., )*--${name}\\b`, "m"));
        expect(section).toContain(def.description!);
      }
    }
    for (const code of [0, 1, 2, 3, 4]) expect(plain).toContain(`.TP\n${code}\n`);
  });

  const groff = Bun.which("groff");
  test.each([
    ["the real tree", page],
    ["a nasty one", manualPage("t", "0", made)],
    [
      "a request as a description",
      manualPage("t", "0", group(".so /etc/passwd", made.subCommands)),
    ],
  ])("of %s holds no request but man's own, and groff has nothing to say", (_, text) => {
    const requests = text.split("\n").filter((line) => /^[.']/.test(line));
    const known = /^\.(TH|SH|SS|PP|TP|B|br|EX|EE)( |$)/;
    expect(requests.filter((line) => !known.test(line))).toEqual([]);
    // Everything with a backslash is an escape we know.
    expect(text.replaceAll(/\\(-|e|f[BIR]|\(dq|&)/g, "")).not.toContain("\\");
    if (groff === null) return;
    const child = Bun.spawnSync([groff, "-man", "-ww", "-Tutf8"], { stdin: Buffer.from(text) });
    expect(child.stderr.toString()).toBe("");
    expect(child.stdout.toString()).toContain("System Administration");
  });
});
