import { describe, expect, test } from "bun:test";
import type { ArgDef } from "citty";
import { aliasesOf, command, group, itemsOf, type Command } from "../../src/commands/command.ts";
import { root } from "../../src/commands/index.ts";
import { editDistance, nearest } from "../../src/commands/nearest.ts";
import { renderHelp } from "../../src/commands/help.ts";
import { resolve } from "../../src/commands/strict.ts";
import { UsageError } from "../../src/errors.ts";

/** The arguments that citty hands to the command after the strict wrapper let the line through. */
async function seen(...argv: string[]): Promise<Record<string, unknown>> {
  return (await resolved(...argv)).args;
}

async function resolved(...argv: string[]) {
  let args: Record<string, unknown> = {};
  const leaf = command({
    description: "d",
    flags: {
      json: { type: "boolean" },
      count: { type: "string", alias: "c" },
      attach: { type: "enum", options: ["auto", "kprobe"], default: "auto" },
      wide: { type: "boolean", alias: "w" },
      time: { type: "boolean", alias: "T" },
      "no-header": { type: "boolean", alias: "H" },
      pid: { type: "string", alias: "p", repeat: "list" },
      events: { type: "string", options: ["open", "close"], repeat: "list" },
      expect: { type: "string", repeat: "values" },
      file: { type: "positional", required: false, options: ["f", "-", "--help", "--no-json"] },
    },
    run: (given) => void (args = given),
  });
  const resolution = resolve("t", group("d", { go: leaf }), ["go", ...argv]);
  if (resolution.kind !== "run") throw new Error(`resolved to ${resolution.kind}`);
  await resolution.command.run?.(resolution.args);
  return { args, common: resolution.common };
}

function refusal(...argv: string[]): UsageError {
  try {
    resolve("tracer-bpf", root, argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`accepted: ${argv.join(" ")}`);
}

test.each(
  [
    ...["--nat", "--nat-remoteport=80", "--nat-laddr=10.0.0.0/8"].map((filter) => ({
      ...{ filter, without: "--no-nat", other: "filters of translated ends" },
    })),
    ...["--app=tls", "--app=!tls", "--sni=example.com"].map((filter) => ({
      ...{ filter, without: "--no-protocols", other: "--app or --sni" },
    })),
  ].flatMap((row) => ["trace", "top"].map((name) => ({ ...row, name }))),
)("$name: $filter is refused with $without: nothing would be shown", async (row) => {
  const { name, filter, without, other } = row;
  const resolution = resolve("tracer-bpf", root, [name, without, filter]);
  if (resolution.kind !== "run") throw new Error(`resolved to ${resolution.kind}`);
  const error = await Promise.resolve(resolution.command.run?.(resolution.args)).catch(String);
  expect(error).toContain(`${without} and ${other} exclude each other`);
});

test("each flag that begins with no- has a letter, by which it is read", () => {
  for (const [path, { flags }] of everyCommand("tracer-bpf", root))
    for (const [flag, def] of Object.entries(flags))
      if (flag.startsWith("no-"))
        expect([path, flag, aliasesOf(def).length]).toEqual([path, flag, 1]);
});

describe("what is accepted reaches the command", () => {
  test.each([[["--count", "3"]], [["--count=3"]], [["-c", "3"]], [["-c3"]], [["-c=3"]]])(
    "%j is a count of 3",
    async (argv) => {
      expect((await seen(...argv))["count"]).toBe("3");
    },
  );

  test("flags may stand before and behind the argument", async () => {
    expect(await seen("--json", "f", "-c", "1")).toMatchObject({
      json: true,
      file: "f",
      count: "1",
    });
  });

  test("behind -- everything is an argument, even --help and --no-json", async () => {
    expect((await seen("--", "--help"))["file"]).toBe("--help");
    expect(await seen("--json", "--", "--no-json")).toMatchObject({
      file: "--no-json",
      json: true,
    });
  });

  test("a value may begin with a dash or hold = when it is attached", async () => {
    expect((await seen("--count=-1"))["count"]).toBe("-1");
    expect((await seen("--count=a=b"))["count"]).toBe("a=b");
  });

  test("a lone dash is a value and an argument", async () => {
    expect(await seen("-c", "-", "-")).toMatchObject({ count: "-", file: "-" });
  });

  test("short flags without a value stand together, the last one may take a value", async () => {
    expect(await seen("-wT")).toMatchObject({ wide: true, time: true });
    expect(await seen("-Twc3")).toMatchObject({ wide: true, time: true, count: "3" });
    expect(await seen("-wc", "3", "-T")).toMatchObject({ wide: true, time: true, count: "3" });
  });

  test("a flag whose name begins with no- is itself, not the opposite of another", async () => {
    expect((await seen("--no-header"))["no-header"]).toBe(true);
    expect((await seen("-H"))["no-header"]).toBe(true);
    expect((await seen())["no-header"]).toBeUndefined();
  });

  test("lists are given with commas, by repetition or both, in their order", async () => {
    const pids = async (...argv: string[]) =>
      itemsOf((await seen(...argv))["pid"] as string | undefined);
    expect(await pids("-p", "1,2", "--pid", "3", "-p4,5")).toEqual(["1", "2", "3", "4", "5"]);
    expect(await pids()).toEqual([]);
  });

  test("a repeatable flag that is no list keeps its commas", async () => {
    const { expect: given } = await seen("--expect", "port == 1,2", "--expect=a=b");
    expect(itemsOf(given as string)).toEqual(["port == 1,2", "a=b"]);
  });

  test("--color is every command's, and none sees it", async () => {
    const { args, common } = await resolved("--color", "never");
    expect(common).toEqual({ color: "never", debug: false });
    expect(args).not.toHaveProperty("color");
    expect((await resolved()).common.color).toBe("auto");
  });

  test("what is not given has its default, or nothing", async () => {
    const args = await seen();
    expect(args["attach"]).toBe("auto");
    expect(args["json"]).toBeUndefined();
    expect(args["count"]).toBeUndefined();
  });
});

describe("what a made-up command refuses", () => {
  test.each([
    [["-wz"], "unknown flag -z"],
    [["-w=1"], "flag --wide takes no value"],
    [["-p", "1,,2"], 'flag --pid: "1,,2" has an empty item'],
    [["-p", ","], 'flag --pid: "," has an empty item'],
    [["--events", "open,clos"], 'flag --events: "clos" is none of open, close'],
    [["g"], 'argument FILE: "g" is none of f, -, --help, --no-json'],
    [["-c1", "-c2"], "flag --count given twice (1 and 2)"],
    [["--color", "red"], 'flag --color: "red" is none of auto, always, never'],
    [["--color", "always", "--color", "never"], "flag --color given twice (always and never)"],
  ])("%j", async (argv, message) => {
    const error: unknown = await seen(...argv).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toBe(message);
  });
});

// Its interval and its count have no flags.
test.each([
  [["0"], 'argument INTERVAL: "0" is no duration', "tracer-bpf top 10s"],
  [["10ms"], 'argument INTERVAL: "10ms" is too short', "tracer-bpf top 1s"],
  [["1", "x"], 'argument COUNT: "x" is no count of intervals', "tracer-bpf top --help"],
  [["-r", "0"], 'flag --rows: "0" is no number of rows', "tracer-bpf top --help"],
])("top %j is refused by the name that it has there", async (argv, message, example) => {
  const resolution = resolve("tracer-bpf", root, ["top", ...argv]);
  if (resolution.kind !== "run") throw new Error(`${resolution.kind} instead of a run`);
  const { command, args } = resolution;
  const run = (async () => command.run?.(args))();
  expect(await run.catch((error: UsageError) => `${error.message}; ${error.hint}`)).toMatch(
    new RegExp(`^${RegExp.escape(message)}; .*${example}`),
  );
});

describe("a command behind --", () => {
  const traced = async (...argv: string[]) => {
    let given: { _: string[] } & Record<string, unknown> = { _: [] };
    const run = command({
      description: "d",
      flags: {
        json: { type: "boolean" },
        count: { type: "string", alias: "c" },
        cmd: { type: "positional", required: false, behind: true } as ArgDef,
      },
      run: (args) => void (given = args as never),
    });
    const resolution = resolve("t", group("d", { go: run }), ["go", ...argv]);
    if (resolution.kind !== "run") throw new Error(`resolved to ${resolution.kind}`);
    await resolution.command.run?.(resolution.args);
    return given;
  };

  test("has all its words, also those that look like our flags", async () => {
    const given = await traced(
      "--json",
      "-c",
      "3",
      "--",
      "curl",
      "--json",
      "-c=1",
      "--",
      "--help",
      "",
    );
    expect(given._).toEqual(["curl", "--json", "-c=1", "--", "--help", ""]);
    expect(given).toMatchObject({ json: true, count: "3" });
  });

  test("need not be there", async () => {
    expect((await traced("--json"))._).toEqual([]);
  });

  test.each([[["--"]], [["--json", "--"]], [["--", ""]]])("%j lacks it", async (argv) => {
    const error = await traced(...argv).catch((error: unknown) => error);
    expect(error).toMatchObject({ message: "the command behind -- is missing" });
  });

  test("may not stand before it", async () => {
    const error = await traced("curl", "-c", "1").catch((error: unknown) => error);
    expect(error).toMatchObject({
      message: 'argument "curl" is one too many',
      suggestion: "t go -- curl",
    });
  });

  test("is in the usage, and the commands without one take none", () => {
    const help = resolve("tracer-bpf", root, ["trace", "--help"]);
    expect(help).toMatchObject({ kind: "help" });
    expect((help as { text: string }).text).toContain(
      "usage: tracer-bpf trace [flags] [-- CMD...]\n",
    );
    expect(refusal("check", "--", "curl").message).toBe('argument "curl" is one too many');
  });
});

describe("what is refused, with a suggestion", () => {
  test.each([
    [["tarce"], 'unknown command "tarce"', "tracer-bpf trace"],
    [["offsets", "gues"], 'unknown command "gues"', "tracer-bpf offsets guess"],
    [["xyzzy"], 'unknown command "xyzzy"', Object.keys(root.subCommands).join(", ")],
    [["__proto__"], 'unknown command "__proto__"', Object.keys(root.subCommands).join(", ")],
    [["--json", "trace"], "unknown flag --json", "tracer-bpf trace --json"],
    [["trace", "--jsn"], "unknown flag --jsn", "--json"],
    [["trace", "--durration", "3"], "unknown flag --durration", "--duration"],
    [["trace", "--dur", "3"], "unknown flag --dur", "--duration"],
    [["trace", "--no-json"], "unknown flag --no-json", "--json"],
    [["trace", "--hlep"], "unknown flag --hlep", "--help"],
    [["trace", "--pidd", "3"], "unknown flag --pidd", "--pid"],
    [["trace", "--raddress", "::1"], "unknown flag --raddress", "--raddr"],
    [["trace", "--quiet"], "unknown flag --quiet", null],
    [["trace", "-x"], "unknown flag -x", null],
    [["trace", "--" + "constructor"], "unknown flag --constructor", null],
    [["trace", "--count"], "flag --count needs a value", "--count N"],
    [["trace", "--count="], "flag --count needs a value", "--count N"],
    [["trace", "--count", "--json"], "flag --count needs a value", "--count N"],
    [["trace", "-c", "-5"], "flag --count needs a value", "--count N"],
    [["help", "trac"], 'unknown command "trac"', "tracer-bpf trace"],
    [["offsets", "help", "gues"], 'unknown command "gues"', "tracer-bpf offsets guess"],
    [["trace", "help"], 'argument "help" is one too many', null],
    [["completions"], "argument SHELL is missing", "tracer-bpf completions bash|zsh|fish"],
    [["trace", "-c", "1", "--count", "2"], "flag --count given twice (1 and 2)", "give it once"],
    [["trace", "--no-headr"], "unknown flag --no-headr", "--no-header"],
    [["trace", "-o", "yaml"], 'flag --output: "yaml" is none of table, json, csv', null],
    [["trace", "--json=yes"], "flag --json takes no value", null],
    [
      ["trace", "--attach", "kprob"],
      'flag --attach: "kprob" is none of auto, kprobe, tracepoint',
      "--attach kprobe",
    ],
    [["trace", "json"], 'argument "json" is one too many', "--json"],
    [["offsets", "show"], "argument FILE is missing", "tracer-bpf offsets show FILE"],
    [["offsets", "show", "a", "b"], 'argument "b" is one too many', null],
    [["offsets", "snapshot"], "flag --save is missing", "tracer-bpf offsets snapshot --save FILE"],
    [["version", "--json"], "unknown flag --json", null],
  ])("%j", (argv, message, suggestion) => {
    const error = refusal(...argv);
    expect(error.message).toBe(message);
    expect(error.suggestion).toBe(suggestion);
  });
});

describe("help", () => {
  const help = (...argv: string[]) => {
    const resolution = resolve("tracer-bpf", root, argv);
    return resolution.kind === "help" ? resolution : null;
  };

  test.each([
    [["--help"]],
    [["-h"]],
    [["trace", "--help"]],
    [["trace", "--bogus", "-h"]],
    [["offsets", "guess", "-h"]],
  ])("%j asks for it", (argv) => {
    expect(help(...argv)?.wrong).toBe(false);
  });

  test.each([
    [["help"], ["--help"]],
    [
      ["help", "trace"],
      ["trace", "--help"],
    ],
    [
      ["help", "offsets"],
      ["offsets", "--help"],
    ],
    [
      ["help", "offsets", "guess"],
      ["offsets", "guess", "--help"],
    ],
    [
      ["offsets", "help", "guess"],
      ["offsets", "guess", "--help"],
    ],
    [["help", "help"], ["--help"]],
  ])("%j is the same as %j", (argv, same) => {
    const asked = help(...argv);
    expect(asked).not.toBeNull();
    expect(asked).toEqual(help(...same));
  });

  test.each([[[]], [["offsets"]], [["--"]]])(
    "%j lacks a command and is shown it as an error",
    (argv) => {
      expect(help(...argv)?.wrong).toBe(true);
    },
  );

  test("on a terminal no line is longer than the terminal, and no word is lost", () => {
    for (const [path, command] of everyCommand("tracer-bpf", root)) {
      const whole = renderHelp(path, command);
      for (const columns of [60, 80, 132]) {
        const lines = renderHelp(path, command, columns).split("\n");
        // A usage, an example and one long word are as they are typed.
        const typed = (line: string) =>
          /^(usage:|  tracer-bpf |.*\| jq|  +(-\w, )?--\S+ \S+$| *\S+$)/.test(line);
        expect(lines.filter((line) => line.length > columns && !typed(line))).toEqual([]);
        expect(wordsOf(lines.join("\n"))).toEqual(wordsOf(whole));
      }
    }
  });

  test("flags that belong together stand together", () => {
    const text = help("trace", "--help")?.text ?? "";
    const titles = [...text.matchAll(/^([a-z ,]+):$/gm)].map(([, title]) => title);
    expect(titles.slice(0, 8)).toEqual([
      "arguments",
      "how lines look",
      "which events",
      "what is looked at besides",
      "when it ends, and how",
      "where it goes",
      "how it traces",
      "other flags",
    ]);
    expect(text).toMatch(/^which events:\n(  .*\n)*      --comm NAME /m);
    expect(text).toMatch(/^when it ends, and how:\n(  .*\n)*  -d, --duration TIME /m);
  });

  test("names every command, every flag and the exit codes", () => {
    for (const [path, { flags, subCommands, run }] of everyCommand("tracer-bpf", root)) {
      const text = help(...path.split(" ").slice(1), "--help")?.text ?? "";
      for (const name of Object.keys(subCommands)) expect(text).toContain(name);
      if (run !== null) expect(text).toContain("--color auto|always|never");
      for (const [name, def] of Object.entries(flags)) {
        expect(text).toContain(def.type === "positional" ? name.toUpperCase() : `--${name}`);
        expect(def.description).toBeString();
      }
      expect(text).toContain(
        "exit codes: 0 done, 1 failure, 2 wrong usage, 3 this host cannot, 4 events were lost (only with --strict)",
      );
    }
  });

  test.each([[["-V"]], [["--version"]], [["trace", "--version"]]])(
    "%j asks for the version",
    (argv) => {
      expect(resolve("tracer-bpf", root, argv).kind).toBe("version");
    },
  );
});

function everyCommand(path: string, command: Command): [string, Command][] {
  const below = Object.entries(command.subCommands);
  return [[path, command], ...below.flatMap(([name, sub]) => everyCommand(`${path} ${name}`, sub))];
}

describe("the nearest word", () => {
  test("counts insertions, deletions, replacements and swaps", () => {
    expect(editDistance("trace", "trace")).toBe(0);
    expect(editDistance("tarce", "trace")).toBe(1);
    expect(editDistance("tracee", "trace")).toBe(1);
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("kitten", "sitting")).toBe(3);
  });

  test("is none when all are far", () => {
    expect(nearest("xyz", ["trace", "offsets"])).toBeNull();
    expect(nearest("", ["trace"])).toBeNull();
  });
});

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");
