/** The capabilities of a running trace, in every thread: the ones it needs and no other; it does its work with them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import { expectConnection } from "./drive/expect.ts";
import { linuxAtLeast, modes, type Mode } from "./drive/modes.ts";
import { pair } from "./drive/peer.ts";
import { eachLine, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const inGuest = process.env["VM_KERNEL"] !== undefined;

/** Conntrack can be asked from the start without any capability: it is there, and the kernel has a function for programs. */
const asksFreely = existsSync("/sys/module/nf_conntrack") && linuxAtLeast(5, 18);

const needed: Readonly<Record<Mode, readonly number[]>> = {
  kprobe: [k.CAP_BPF, k.CAP_PERFMON, k.CAP_IPC_LOCK, k.CAP_SYS_NICE, k.CAP_DAC_READ_SEARCH],
  tracepoint: [
    k.CAP_BPF,
    k.CAP_PERFMON,
    k.CAP_IPC_LOCK,
    k.CAP_SYS_NICE,
    k.CAP_SYS_PTRACE,
    k.CAP_DAC_READ_SEARCH,
    // Else its module may come later, if this kernel has modules.
    ...(asksFreely || !existsSync("/proc/modules") ? [] : [k.CAP_NET_ADMIN]),
  ],
};

test("this kernel has CAP_BPF and CAP_PERFMON, without which CAP_SYS_ADMIN may have to stay", () => {
  expect(linuxAtLeast(5, 8)).toBe(true);
});

describe.each(modes)("trace --attach %s", (mode) => {
  test("no thread has more than it needs, nor can get it; a server of another user is still found", async () => {
    const tracer = await Tracer.start(mode);
    const all = threadsOf(tracer.pid);
    expect(all.length).toBeGreaterThan(2);
    for (const thread of all) expect(thread).toEqual({ ...thread, ...asNeeded(mode) });

    const server = asNobody();
    const port = Number(await server.line());
    const client = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    const accept = await tracer.takeIf("accept", `on ${port}`, ({ local }) => local.port === port);
    expect(accept.pid).toBe(server.pid);
    client.end();
    server.kill();
    await tracer.takeIf("close", `on ${port}`, ({ local }) => local.port === port);
    // Threads that came since have no more.
    for (const thread of threadsOf(tracer.pid))
      expect(thread).toEqual({ ...thread, ...asNeeded(mode) });
    expect(await tracer.stop()).toBe(0);
    expect(tracer.stderr).not.toContain("capabilities");
  });

  // The settings are the whole machine's.
  test.skipIf(!inGuest)(
    "where the kernel restricts perf events and bpf(2), a processor that comes back is traced",
    async () => {
      using _paranoid = setting("/proc/sys/kernel/perf_event_paranoid", "3");
      using _unprivileged = setting("/proc/sys/kernel/unprivileged_bpf_disabled", "2");
      const tracer = await Tracer.start(mode);
      const cpu1 = "/sys/devices/system/cpu/cpu1/online";
      for (let i = 0; i < 2; i++) {
        for (const on of ["0", "1"]) writeFileSync(cpu1, on);
        for (let n = 0; n < 10; n++) {
          const { client, server } = pair();
          client.close();
          server.close();
          await expectConnection(tracer, client);
          await expectConnection(tracer, server);
        }
      }
      expect(await tracer.stop()).toBe(0);
      expect(tracer.stderr).toContain("none lost");
    },
  );
});

// --- internal ---

interface Thread {
  name: string;
  permitted: number[];
  effective: number[];
  inheritable: number[];
  noNewPrivileges: string;
}

function asNeeded(mode: Mode): Omit<Thread, "name"> {
  const all = needed[mode].toSorted((a, b) => a - b);
  return { permitted: all, effective: all, inheritable: [], noNewPrivileges: "1" };
}

function threadsOf(pid: number): Thread[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
    const file = `/proc/${pid}/task/${tid}/status`;
    if (!existsSync(file)) return [];
    const status = readFileSync(file, "latin1");
    const of = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)![1]!;
    return [
      {
        name: of("Name"),
        permitted: numbersIn(of("CapPrm")),
        effective: numbersIn(of("CapEff")),
        inheritable: numbersIn(of("CapInh")),
        noNewPrivileges: of("NoNewPrivs"),
      },
    ];
  });
}

function numbersIn(set: string): number[] {
  const bits = BigInt(`0x${set}`);
  return Array.from({ length: 64 }, (_, n) => n).filter((n) => ((bits >> BigInt(n)) & 1n) === 1n);
}

/** A server whose descriptors only root, or who may look at everybody's, can see. */
function asNobody() {
  const script = `
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    console.log(server.port);`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    cwd: "/",
    stdin: "ignore",
    stdout: "pipe",
  });
  const line = new Promise<string>((resolve) => void eachLine(child.stdout, resolve));
  return { pid: child.pid, line: () => line, kill: () => child.kill() };
}

function setting(file: string, value: string): Disposable {
  const before = readFileSync(file, "latin1");
  writeFileSync(file, value);
  return { [Symbol.dispose]: () => writeFileSync(file, before) };
}
