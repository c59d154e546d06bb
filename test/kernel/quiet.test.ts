/** The tracer does not listen, write files or talk to others. */
import { dlopen, ptr } from "bun:ffi";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { actorCommand } from "./drive/actors.ts";
import { modes } from "./drive/modes.ts";
import { binary, plainEnvironment, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-quiet-"));
afterAll(() => rmSync(directory, { recursive: true }));

test.each(modes)("--attach %s: a running trace has no socket of any network", async (mode) => {
  const tracer = await Tracer.start(mode);
  const sockets = socketsOf(tracer.pid);
  const tables = ["tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "packet", "netlink"];
  const used = tables.flatMap((table) =>
    inodesIn(`/proc/${tracer.pid}/net/${table}`)
      .filter((inode) => sockets.has(inode))
      .map((inode) => `${table} ${inode}`),
  );
  expect(used).toEqual([]);
  // Its stdout may be one, but nobody can connect to it.
  const listening = unixListeners(tracer.pid).filter((inode) => sockets.has(inode));
  expect(listening).toEqual([]);
  expect(await tracer.stop()).toBe(0);
});

test("the inodes of sockets are found where they are", () => {
  using server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  expect(server.port).toBeGreaterThan(0);
  const own = socketsOf(process.pid);
  expect(inodesIn("/proc/self/net/tcp").filter((inode) => own.has(inode))).not.toBeEmpty();
  using local = Bun.listen({ unix: join(directory, "socket"), socket: { data() {} } });
  expect(local.unix).toContain("socket");
  const all = socketsOf(process.pid);
  expect(unixListeners(process.pid).filter((inode) => all.has(inode))).not.toBeEmpty();
});

// A packet that does not go over loopback finds no route in this namespace, and is counted.
test.each(modes)("--attach %s: it sends nothing but over loopback", async (mode) => {
  const tracer = await Tracer.start(mode, ["--interval", "50ms"], aloneWithLoopback);
  expect(unrouted(tracer.pid)).toEqual({ ipv4: 0, ipv6: 0 });
  expect(await tracer.stop()).toBe(0);
  expect(unroutedOfOthers()).toEqual({ ipv4: 1, ipv6: 1 });
});

test.each(modes)("--attach %s: no file is written unless asked", async (mode) => {
  using writes = watchWrites();
  const commands = [
    ["trace", "--attach", mode, "-d", "1s"],
    ["offsets", "guess", "--attach", mode],
    ["check"],
    ["schema"],
  ];
  for (const args of commands) {
    const { pid, exitCode } = await runWithPid(args);
    expect(exitCode).toBe(0);
    const mayWait = args[0] === "check" || (args[0] === "trace" && mode === "kprobe");
    const asked = mayWait && conntrackMayCome ? [KPROBE_EVENTS] : [];
    expect(writes.by(pid).filter((path) => !asked.includes(path))).toEqual([]);
  }
  const saved = join(directory, "saved");
  const asked = await runWithPid(["offsets", "guess", "--attach", mode, "--save", saved]);
  expect(asked.exitCode).toBe(0);
  expect(writes.by(asked.pid)).toEqual([saved]);
});

test.each(modes)(
  "--attach %s: a trace to which nothing happens sleeps until something does",
  async (mode) => {
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end(), data() {} },
    });
    const tracer = await Tracer.start(mode, ["--tcp", "--port", String(server.port)]);
    for (let round = 1; round <= 2; round++) {
      await asleep(tracer.pid);
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = { data() {}, close: () => resolve() };
      await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket });
      await promise;
      await tracer.until(() => tracer.events.length === 4 * round, "four events");
    }
    expect(await tracer.stop()).toBe(0);
    expect(tracer.events).toHaveLength(8);
  },
);

// --- internal ---

/**
 * Until the thread that waits for records has woken up four times at most in three seconds: it looks ten times a second at
 * first, and the tool asks it anew once a minute. On a busy machine three seconds are longer, and it wakes up more often in
 * them: the rate counts.
 */
async function asleep(pid: number): Promise<void> {
  const looks: { atMs: number; count: number }[] = [];
  for (;;) {
    const [atMs, count] = [performance.now(), wakeUps(pid, "RingWait")];
    looks.push({ atMs, count });
    const before = looks.findLast((look) => look.count > 0 && atMs - look.atMs >= 3000);
    if (before && (count - before.count) / (atMs - before.atMs) <= 4 / 3000) return;
    await Bun.sleep(100);
  }
}

/** How often a thread gave up its processor to wait; 0: it is not there. */
function wakeUps(pid: number, thread: string): number {
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const status = textOf(`/proc/${pid}/task/${tid}/status`);
    if (status.startsWith(`Name:\t${thread}\n`))
      return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)![1]);
  }
  return 0;
}

/** A probe that waits for a module is a line in this file, as long as the trace runs, or a check tries it. */
const KPROBE_EVENTS = "/sys/kernel/tracing/kprobe_events";
const conntrackMayCome =
  existsSync("/proc/modules") && !existsSync("/proc/sys/net/netfilter/nf_conntrack_count");

const aloneWithLoopback = ["env", "BUN_BE_BUN=1", ...actorCommand("in-netns", "lo", "v6")];

interface Unrouted {
  ipv4: number;
  ipv6: number;
}

/** The number of packets without a route in a network namespace, since it was made. */
const unrouted = (pid: number): Unrouted =>
  unroutedIn(textOf(`/proc/${pid}/net/snmp`), textOf(`/proc/${pid}/net/snmp6`));

function unroutedIn(snmp: string, snmp6: string): Unrouted {
  const [names, values] = snmp.match(/^Ip: .*$/gm)!;
  const column = names!.split(" ").indexOf("OutNoRoutes");
  const ipv6 = /^Ip6OutNoRoutes\s+(\d+)$/m.exec(snmp6);
  return { ipv4: Number(values!.split(" ")[column]), ipv6: Number(ipv6![1]) };
}

/** The same of somebody who sends one datagram over each to others. */
function unroutedOfOthers(): Unrouted {
  const script = `
    import dgram from "node:dgram";
    for (const [type, to] of [["udp4", "192.0.2.1"], ["udp6", "2001:db8::1"]]) {
      const socket = dgram.createSocket(type);
      socket.on("error", () => {});
      await new Promise((resolve) => socket.send("x", 9, to, resolve));
      socket.close();
    }
    import { readFileSync } from "node:fs";
    const of = (name) => readFileSync("/proc/self/net/" + name, "latin1");
    console.log(JSON.stringify([of("snmp"), of("snmp6")]));`;
  const command = [...aloneWithLoopback, "env", "BUN_BE_BUN=1", process.execPath, "-e", script];
  const { stdout } = Bun.spawnSync(command);
  return unroutedIn(...(JSON.parse(stdout.toString()) as [string, string]));
}

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, "latin1") : "";
}

function socketsOf(pid: number): Set<number> {
  const inodes = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const found = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
      return found ? [Number(found[1])] : [];
    } catch {
      return [];
    }
  });
  return new Set(inodes);
}

/** Any number of a line may be the inode: the tables have it in different columns. */
function inodesIn(table: string): number[] {
  return (textOf(table).match(/\b\d+\b/g) ?? []).map(Number);
}

/** The UNIX sockets that others can connect to. */
function unixListeners(pid: number): number[] {
  const ACCEPTS = 0x10000;
  const rows = textOf(`/proc/${pid}/net/unix`).split("\n").slice(1, -1);
  return rows
    .map((row) => row.split(/\s+/))
    .filter(([, , , flags]) => (parseInt(flags!, 16) & ACCEPTS) !== 0)
    .map((row) => Number(row[6]));
}

async function runWithPid(args: string[]): Promise<{ pid: number; exitCode: number }> {
  const child = Bun.spawn([binary, ...args], {
    stdio: ["ignore", "ignore", "ignore"],
    env: plainEnvironment(),
  });
  return { pid: child.pid, exitCode: await child.exited };
}

interface Writes extends Disposable {
  /** Paths of the regular files that this process wrote to since the last time anybody asked. */
  by(pid: number): string[];
}

const FAN_CLOEXEC_NONBLOCK_UNLIMITED = 0x33;
const FAN_MARK_ADD_MOUNT = 0x11;
const FAN_MODIFY_CLOSE_WRITE = 0x0an;
const AT_FDCWD = -100n;
const EVENT_BYTES = 24;

/** fanotify(7): whoever writes to whatever file of this mount namespace. */
function watchWrites(): Writes {
  const { symbols } = dlopen("libc.so.6", {
    fanotify_init: { args: ["u32", "u32"], returns: "i32" },
    fanotify_mark: { args: ["i32", "u32", "u64", "i64", "ptr"], returns: "i32" },
  });
  const fd = symbols.fanotify_init(FAN_CLOEXEC_NONBLOCK_UNLIMITED, 0);
  if (fd < 0) throw new Error("fanotify_init failed: this test needs root and CONFIG_FANOTIFY");
  const mark = (at: string) => {
    const path = Buffer.from(`${at}\0`);
    symbols.fanotify_mark(fd, FAN_MARK_ADD_MOUNT, FAN_MODIFY_CLOSE_WRITE, AT_FDCWD, ptr(path));
  };
  // File systems that cannot be watched, like /proc, hold no files.
  for (const [, at] of textOf("/proc/self/mounts").matchAll(/^\S+ (\S+) /gm)) mark(at!);
  const buffer = new DataView(new ArrayBuffer(170 * EVENT_BYTES));
  const paths = new Map<number, Set<string>>();

  function take(): void {
    for (let bytes = more(); bytes > 0; bytes = more()) {
      for (let event = 0; event < bytes; event += EVENT_BYTES) {
        const file = buffer.getInt32(event + 16, true);
        const pid = buffer.getInt32(event + 20, true);
        if (file < 0) continue;
        if (fstatSync(file).isFile())
          paths.set(pid, (paths.get(pid) ?? new Set()).add(readlinkSync(`/proc/self/fd/${file}`)));
        closeSync(file);
      }
    }
  }
  function more(): number {
    try {
      return readSync(fd, buffer);
    } catch {
      return 0; // EAGAIN: no more
    }
  }

  return {
    by(pid) {
      take();
      const found = [...(paths.get(pid) ?? [])];
      paths.clear();
      return found;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
