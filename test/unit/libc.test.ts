import { describe, expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import * as address from "../../src/kernel/sockaddr.ts";
import { TCP_INFO_MAX, readTcpInfo } from "../../src/kernel/tcp_info.ts";

describe("libc", () => {
  test("a failing call returns -errno, and errnoName names it", () => {
    expect(libc.close(99_999)).toBe(-k.EBADF);
    expect(libc.open("/nonexistent", k.O_RDONLY)).toBe(-k.ENOENT);
    expect(libc.socket(k.AF_INET, 99, 0)).toBe(-k.EINVAL);
    expect(libc.errnoName(-k.EBADF)).toBe("EBADF");
    expect(libc.errnoName(k.EAGAIN)).toBe("EAGAIN");
    expect(libc.errnoName(524)).toBe("ENOTSUPP");
    expect(libc.errnoName(-999)).toBe("errno 999");
  });

  test("getpid, gettid and uname agree with what Bun and /proc say", async () => {
    expect(libc.getpid()).toBe(process.pid);
    expect(libc.gettid()).toBe(process.pid);
    const release = (await Bun.file("/proc/sys/kernel/osrelease").text()).trim();
    const version = (await Bun.file("/proc/sys/kernel/version").text()).trim();
    expect(libc.uname()).toMatchObject({ sysname: "Linux", release, version });
  });

  test("a pipe gives back what was written, and poll tells when", () => {
    const [from, to] = libc.pipe2(k.O_CLOEXEC) as [number, number];
    expect(libc.pollOne(from, k.POLLIN, 0)).toBe(0);
    expect(libc.write(to, Uint8Array.of(1, 2, 3))).toBe(3);
    expect(libc.pollOne(from, k.POLLIN, 0)).toBe(k.POLLIN);
    const into = new Uint8Array(8);
    expect(libc.read(from, into)).toBe(3);
    expect([...into.subarray(0, 3)]).toEqual([1, 2, 3]);
    libc.close(to);
    expect(libc.pollOne(from, k.POLLIN, 0)).toBe(k.POLLHUP);
    libc.close(from);
  });

  test("a pipe has no reader once that end is closed; a file always has one", () => {
    const pipe = libc.pipe2(k.O_CLOEXEC) as [number, number];
    expect(libc.hasNoReader(pipe[1])).toBe(false);
    libc.close(pipe[0]);
    expect(libc.hasNoReader(pipe[1])).toBe(true);
    libc.close(pipe[1]);
    expect(libc.hasNoReader(pipe[1])).toBe(false); // closed: nobody's
    for (const path of ["/dev/null", import.meta.path]) {
      const fd = libc.open(path, k.O_RDONLY | k.O_CLOEXEC);
      expect(libc.hasNoReader(fd)).toBe(false);
      libc.close(fd);
    }
  });

  test("the file limit can be read, lowered and put back", () => {
    const before = libc.getrlimit(0, k.RLIMIT_NOFILE) as libc.Rlimit;
    expect(libc.setrlimit(0, k.RLIMIT_NOFILE, { soft: before.soft - 1n, hard: before.hard })).toBe(
      0,
    );
    expect(libc.getrlimit(0, k.RLIMIT_NOFILE)).toEqual({ ...before, soft: before.soft - 1n });
    expect(libc.setrlimit(0, k.RLIMIT_NOFILE, before)).toBe(0);
  });

  test("an interface that does not exist is neither up nor down", () => {
    expect(libc.interfaceIsUp("nosuch0")).toBe(-19);
  });

  for (const ip of ["127.0.0.1", "127.7.11.13"]) {
    test(`a connection from ${ip} carries bytes, options and TCP_INFO`, () => {
      const listener = libc.socket(k.AF_INET, k.SOCK_STREAM | k.SOCK_CLOEXEC, 0);
      expect(libc.bind(listener, address.sockaddr("127.0.0.1", 0))).toBe(0);
      expect(libc.listen(listener, 1)).toBe(0);
      const to = nameOf(libc.getsockname, listener);
      const client = libc.socket(k.AF_INET, k.SOCK_STREAM | k.SOCK_CLOEXEC, 0);
      expect(libc.bind(client, address.sockaddr(ip, 0))).toBe(0);
      expect(libc.connect(client, address.sockaddr(to.address, to.port))).toBe(0);
      const server = libc.accept4(listener, k.SOCK_CLOEXEC);
      expect(nameOf(libc.getpeername, server)).toEqual(nameOf(libc.getsockname, client));
      expect(nameOf(libc.getpeername, server).address).toBe(ip);

      expect(libc.send(client, new Uint8Array(97), 0)).toBe(97);
      expect(libc.readable(server, 1000)).toBe(true);
      expect(libc.ioctlInt(server, k.SIOCINQ)).toBe(97);
      expect(libc.recv(server, null, k.MSG_TRUNC, 50)).toBe(50);
      expect(libc.recv(server, new Uint8Array(100), 0)).toBe(47);
      expect(libc.recv(server, new Uint8Array(1), k.MSG_DONTWAIT)).toBe(-k.EAGAIN);

      expect(libc.setsockoptInt(client, k.SOL_TCP, k.TCP_NODELAY, 1)).toBe(0);
      expect(libc.getsockoptInt(client, k.SOL_TCP, k.TCP_NODELAY)).toBe(1);
      const raw = new Uint8Array(TCP_INFO_MAX);
      const info = readTcpInfo(
        raw.subarray(0, libc.getsockopt(server, k.SOL_TCP, k.TCP_INFO, raw)),
      );
      expect(info).toMatchObject({ state: k.TCP_ESTABLISHED, bytes_received: 97n, unacked: 0 });
      for (const fd of [client, server, listener]) expect(libc.close(fd)).toBe(0);
    });
  }
});

describe("sockaddr", () => {
  test("IPv4 is family, port and address in network order", () => {
    expect([...address.sockaddr("127.0.0.1", 0x1234)]).toEqual([
      2, 0, 0x12, 0x34, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
  });

  test.each([
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:1:0:0:0:1:0", "0:0:1::1:0"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["2001:DB8::0:1", "2001:db8::1"],
    ["1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"],
    ["::ffff:127.0.0.1", "::ffff:127.0.0.1"],
    ["::ffff:7f00:1", "::ffff:127.0.0.1"],
    ["::7f00:1", "::7f00:1"],
  ])("%s is written %s", (text, canonical) => {
    expect(address.ipv6Text(address.parseIPv6(text))).toBe(canonical);
  });

  test.each([
    "1",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::1.2.3",
    "1:2:3:4:5:6:7",
  ])("%s is refused", (text) => {
    expect(() => address.parseIPv6(text)).toThrow(RangeError);
  });

  test.each(["1.2.3", "1.2.3.256", "1.2.3.4.5", "a.b.c.d", ""])("%p is not IPv4", (text) => {
    expect(() => address.parseIPv4(text)).toThrow(RangeError);
  });

  test("what is encoded is what is read back, for every address and port", () => {
    const port = fc.integer({ min: 0, max: 65535 });
    fc.assert(
      fc.property(fc.ipV4(), port, (ip, port) => {
        expect(address.readSockaddr(address.sockaddr(ip, port))).toEqual({
          family: 4,
          address: ip,
          port,
        });
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), port, (bytes, port) => {
        const read = address.readSockaddr(address.sockaddrIn6(bytes, port))!;
        expect(read.port).toBe(port);
        expect(address.parseIPv6(read.address)).toEqual(bytes);
      }),
    );
  });

  test("too few bytes and other families read as null", () => {
    expect(address.readSockaddr(new Uint8Array(7))).toBeNull();
    expect(address.readSockaddr(address.sockaddr("::1", 1).subarray(0, 20))).toBeNull();
    expect(address.readSockaddr(address.sockaddrUnspec())).toBeNull();
  });
});

describe("tcp_info", () => {
  test("fields beyond what the kernel returned are null, the others are read", () => {
    const bytes = new Uint8Array(256);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, k.TCP_ESTABLISHED);
    view.setUint32(68, 41, true);
    view.setBigUint64(120, 2n ** 53n + 1n, true);
    view.setUint32(140, 7, true);
    const linux_4_4 = readTcpInfo(bytes.subarray(0, 144));
    expect(linux_4_4).toMatchObject({ state: 1, rtt: 41, bytes_acked: 2n ** 53n + 1n, segs_in: 7 });
    expect(linux_4_4.notsent_bytes).toBeNull();
    expect(linux_4_4.bytes_sent).toBeNull();
    expect(readTcpInfo(bytes).bytes_sent).toBe(0n);
    expect(readTcpInfo(bytes.subarray(0, 207)).bytes_sent).toBeNull();
  });
});

// --- internal ---

function nameOf(call: typeof libc.getsockname, fd: number): address.Address {
  const into = new Uint8Array(128);
  return address.readSockaddr(into.subarray(0, call(fd, into)))!;
}
