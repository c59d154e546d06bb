/** The unit of packaging/, started, reloaded and stopped by systemd itself: in a guest that systemd begins. */
import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { pairOver } from "./drive/peer.ts";
import { binary, eventually, type Event, run } from "./drive/tracer.ts";
import { unitCapabilities } from "./drive/unit.ts";

setDefaultTimeout(180_000);

const packaging = new URL("../../packaging/", import.meta.url);
const ETC = "/etc/systemd/system";
const DROP_IN = `${ETC}/tracer-bpf.service.d`;

/** Never on a host that somebody uses. */
const isGuestOfSystemd =
  process.env["VM_KERNEL"] !== undefined && readlinkSync("/proc/1/exe").endsWith("/systemd");

describe.skipIf(!isGuestOfSystemd)("tracer-bpf.service under systemd", () => {
  beforeAll(() => {
    for (const place of ["/usr/local/bin", "/usr/bin"]) {
      mkdirSync(place, { recursive: true });
      symlinkSync(binary, `${place}/tracer-bpf`);
    }
    const unit = readFileSync(new URL("tracer-bpf.service", packaging));
    mkdirSync(ETC, { recursive: true });
    writeFileSync(`${ETC}/tracer-bpf.service`, unit);
    systemctl("daemon-reload");
  });

  afterEach(() => {
    systemctl("stop", "tracer-bpf");
    rmSync(DROP_IN, { recursive: true, force: true });
  });

  test("`start` returns when it traces, with the unit's rights and no others; `stop` loses nothing", async () => {
    systemctl("start", "tracer-bpf");
    const { ActiveState, StatusText, MainPID, ControlGroup } = shown();
    expect(ActiveState).toBe("active");
    expect(StatusText).toMatch(/^tracing /);
    const first = pairOver();
    await until("the connection is in the journal", () => ports(journal()).includes(first));
    const status = readFileSync(`/proc/${MainPID}/status`, "utf8");
    const bounding = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(status)![1]}`);
    expect(bounding).toBe([...unitCapabilities()].reduce((set, n) => set | (1n << BigInt(n)), 0n));
    expect(status).toMatch(/^NoNewPrivs:\s*1$/m);
    // A filter of system calls.
    expect(status).toMatch(/^Seccomp:\s*2$/m);
    const memory = (name: string) =>
      Number(readFileSync(`/sys/fs/cgroup${ControlGroup}/memory.${name}`, "utf8"));
    expect(memory("max")).toBe(512 * 2 ** 20);
    expect(memory("peak")).toBeLessThan(256 * 2 ** 20);
    const mounts = readFileSync(`/proc/${MainPID}/mounts`, "utf8");
    expect(mounts).toMatch(/^\S+ \/ \S+ ro\b/m);
    systemctl("stop", "tracer-bpf");
    expect(shown()).toMatchObject({ ActiveState: "inactive", Result: "success", NRestarts: "0" });
    expect(journal()).toMatch(/ none lost\b/);
  });

  test("`reload` goes on in a new recording, as the page about the unit says", async () => {
    const readme = readFileSync(new URL("README.md", packaging), "utf8");
    const [dropIn] = /^ {4}\[Service\]\n(?: {4}.*\n)+/m.exec(readme)!;
    addDropIn(dropIn.replaceAll(/^ {4}/gm, ""));
    systemctl("start", "tracer-bpf");
    const file = "/var/log/tracer-bpf/trace.rec";
    const first = pairOver();
    // Records are written once a second at least; the trace is told to end before the second file is read.
    await until("it is in the recording", async () => (await recorded(file)).includes(first));
    renameSync(file, `${file}.1`);
    systemctl("reload", "tracer-bpf");
    await until("word of the new file", () => journal().includes(`${file}: opened anew`));
    const second = pairOver();
    systemctl("stop", "tracer-bpf");
    expect(shown()).toMatchObject({ ActiveState: "inactive", Result: "success" });
    const [before, after] = [await recorded(`${file}.1`), await recorded(file)];
    expect([before.includes(first), before.includes(second)]).toEqual([true, false]);
    expect([after.includes(first), after.includes(second)]).toEqual([false, true]);
  });

  test("a wrong command line fails at once, with its reason in the journal, and is not tried again", () => {
    addDropIn("[Service]\nExecStart=\nExecStart=/usr/bin/tracer-bpf trace --prot 443\n");
    expect(Bun.spawnSync(["systemctl", "start", "tracer-bpf"]).exitCode).toBe(1);
    expect(shown()).toMatchObject({
      ActiveState: "failed",
      Result: "exit-code",
      ExecMainStatus: "2",
      NRestarts: "0",
    });
    expect(journal()).toContain("--prot");
  });
});

// --- internal ---

function systemctl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["systemctl", ...args], { stderr: "pipe" });
  if (exitCode !== 0)
    throw new Error(`systemctl ${args.join(" ")}: ${stderr.toString()}\n${journal()}`);
}

function addDropIn(text: string): void {
  mkdirSync(DROP_IN, { recursive: true });
  writeFileSync(`${DROP_IN}/override.conf`, text);
  systemctl("daemon-reload");
}

/** The properties of the service, as systemd has them. */
function shown(): Record<string, string> {
  const { stdout } = Bun.spawnSync(["systemctl", "show", "tracer-bpf"]);
  return Object.fromEntries(
    stdout
      .toString()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

const journal = (): string =>
  Bun.spawnSync(["journalctl", "--unit", "tracer-bpf", "--output", "cat"]).stdout.toString();

/** The local ports of the closes among these lines. */
const ports = (lines: string): number[] =>
  lines.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const { event, local } = JSON.parse(line) as Event;
    return event === "close" ? [local.port] : [];
  });

const recorded = async (file: string): Promise<number[]> =>
  ports((await run(["replay", file, "--json"])).stdout);

const until = (what: string, holds: () => boolean | Promise<boolean>): Promise<boolean> =>
  eventually(what, holds, () => `; the journal:\n${journal()}`);
