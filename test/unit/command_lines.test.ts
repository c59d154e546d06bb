/** Command lines: the kernel side's copy first, /proc for the rest and for what it does not have. */
import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { escapeText } from "../../src/output/escape.ts";
import {
  CommandLines,
  type Asked,
  type Noted,
  type Running,
} from "../../src/trace/process/command_lines.ts";

const SECOND = 1_000_000_000n;
const NOW_NS = 100n * SECOND;

const event = (program: bigint, comm = "curl"): Asked => ({
  program,
  program_number: Number(program),
  comm: Buffer.from(comm.padEnd(16, "\0")),
  owned_at: Number(NOW_NS >> 24n),
});
const noted = (text: string, length = text.length): Noted => ({ bytes: Buffer.from(text), length });
const running = (text: string, more: Partial<Running> = {}): Running => ({
  bytes: Buffer.from(text),
  comm: Buffer.from("curl"),
  exe: Buffer.from("/usr/bin/curl"),
  parent: 2,
  startedNs: SECOND,
  exiting: false,
  ...more,
});

interface World {
  programs?: Record<string, Noted>;
  processes?: Record<number, Running>;
}

function linesOf({ programs = {}, processes = {} }: World) {
  const asked: (string | number)[] = [];
  const lines = new CommandLines({
    noted(program) {
      asked.push(`program ${program}`);
      return programs[String(program)] ?? null;
    },
    process(pid) {
      asked.push(pid);
      return processes[pid] ?? null;
    },
    nameOf: (pid) => (pid === 2 ? Buffer.from("bash") : null),
    nowNs: () => NOW_NS,
  });
  return { lines, asked };
}

describe("a program that the kernel side has", () => {
  test("is asked for once, and its process may be gone", () => {
    const { lines, asked } = linesOf({ programs: { 7: noted("curl\0-s\0http://a\0") } });
    for (let n = 0; n < 3; n++) expect(lines.of(5, event(7n)).args).toBe("curl -s http://a");
    expect(asked).toEqual(["program 7", 5]);
  });

  test("ends where it ends, not where the copy does", () => {
    const { lines } = linesOf({ programs: { 7: noted("curl\0a\0SECRET=b\0", 7) } });
    expect(lines.of(5, event(7n)).args).toBe("curl a");
  });

  test("that is longer than the copy is completed by its process, if that is still the same", () => {
    const programs = { 7: noted("curl\0aaaa", 20) };
    const whole = (processes: Record<number, Running>) =>
      linesOf({ programs, processes }).lines.of(5, event(7n)).args;
    expect(whole({ 5: running("curl\0aaaabbbb\0") })).toBe("curl aaaabbbb");
    expect(whole({ 5: running("wget\0aaaabbbb\0") })).toBe("curl aaaa ...");
    expect(whole({})).toBe("curl aaaa ...");
  });

  test("keeps empty arguments, and blanks inside of one", () => {
    const { lines } = linesOf({ programs: { 7: noted("a\0\0b c\0\0") } });
    expect(lines.of(5, event(7n)).args).toBe("a  b c");
  });
});

describe("a program that it does not have", () => {
  test("is its process', once a poll", () => {
    const { lines, asked } = linesOf({ processes: { 5: running("curl\0a\0") } });
    expect(lines.of(5, event(0n)).args).toBe("curl a");
    expect(lines.of(5, event(8n)).args).toBe("curl a");
    expect(lines.of(6, event(0n)).args).toBeNull();
    expect(asked).toEqual([5, "program 8", 6]);
    lines.renew();
    expect(lines.of(5, event(0n)).args).toBe("curl a");
    expect(asked).toEqual([5, "program 8", 6, 5]);
  });

  test.each<[string, Partial<Running>]>([
    ["has another name by now", { comm: Buffer.from("wget") }],
    ["began later", { startedNs: NOW_NS + SECOND }],
    ["is on its way out", { exiting: true }],
    ["is a thread of the kernel", { bytes: new Uint8Array() }],
  ])("is not known of a process that %s", (_, more) => {
    const { lines } = linesOf({ processes: { 5: running("curl\0a\0", more) } });
    expect(lines.of(5, event(0n)).args).toBeNull();
  });
});

describe("the file and the parent of a process", () => {
  const programs = { 7: noted("curl\0a\0") };
  const of = (process?: Running) =>
    linesOf({ programs, processes: process ? { 5: process } : {} }).lines.of(5, event(7n));
  const unknown = { args: "curl a", exe: null, parentPid: null, parentComm: null };

  test("are known of one that still runs the same", () => {
    const program = { ...unknown, exe: "/usr/bin/curl", parentPid: 2, parentComm: "bash" };
    expect(of(running("curl\0a\0"))).toEqual(program);
    expect(of(running("curl\0a\0", { parent: 3 }))).toEqual({
      ...program,
      parentPid: 3,
      parentComm: null,
    });
    expect(of(running("curl\0a\0", { parent: 0 }))).toEqual({ ...unknown, exe: "/usr/bin/curl" });
    expect(linesOf({ processes: { 5: running("curl\0a\0") } }).lines.of(5, event(0n))).toEqual(
      program,
    );
  });

  test("are not known of one that is gone, runs something else, or has its number from another", () => {
    expect(of()).toEqual(unknown);
    expect(of(running("wget\0a\0"))).toEqual(unknown);
    expect(of(running("curl\0a\0", { exiting: true }))).toEqual(unknown);
    expect(of(running("curl\0a\0", { startedNs: NOW_NS + SECOND }))).toEqual(unknown);
  });
});

test("without a process there is no command line", () => {
  const { lines, asked } = linesOf({});
  expect(lines.of(null, event(7n)).args).toBeNull();
  expect(asked).toEqual([]);
});

test("any bytes are a text that can be escaped, and those of two arguments are never joined", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 }), (parts) => {
      const bytes = Buffer.concat(parts.flatMap((part) => [part, Buffer.alloc(1)]));
      const { lines } = linesOf({ programs: { 7: { bytes, length: bytes.length } } });
      const { args: line } = lines.of(5, event(7n));
      expect(escapeText(line!)).not.toMatch(/[\p{Cc}\p{Cs}]/u);
    }),
  );
});
