/** Names are asked for in the background: whoever asks never waits, and nothing grows without bound. */
import { describe, expect, test } from "bun:test";
import { reverseDns } from "../../src/names/dns.ts";
import { hostName } from "../../src/names/host_name.ts";
import { nameInHosts, parseHosts } from "../../src/names/hosts.ts";
import { Names } from "../../src/names/names.ts";
import { userNames } from "../../src/names/users.ts";
import { nameServer } from "../kernel/drive/name_server.ts";

/** Lookups that end when the test says so. */
function controlled() {
  const open = new Map<string, (name: string | null | Error) => void>();
  const asked: string[] = [];
  let clock = 0;
  const names = new Names({
    lookup(key) {
      asked.push(key);
      return new Promise((resolve, reject) => {
        open.set(key, (name) => (name instanceof Error ? reject(name) : resolve(name)));
      });
    },
    now: () => clock,
  });
  return {
    names,
    asked,
    open,
    pass: (ms: number) => (clock += ms),
    async answer(key: string, name: string | null | Error) {
      open.get(key)!(name);
      open.delete(key);
      // The continuations of a promise, not time.
      for (let n = 0; n < 10; n++) await Promise.resolve();
    },
  };
}

describe("names", () => {
  test("are null until they are known, and asked for once", async () => {
    const { names, asked, answer } = controlled();
    expect(names.asking).toBe(false);
    expect([names.of("a"), names.of("a")]).toEqual([null, null]);
    expect(names.asking).toBe(true);
    await answer("a", "host");
    expect(names.asking).toBe(false);
    expect([names.of("a"), names.of("a")]).toEqual(["host", "host"]);
    expect(asked).toEqual(["a"]);
  });

  test("that there are not, or that cannot be had, are not asked for again at once", async () => {
    const { names, asked, answer, pass } = controlled();
    names.of("none");
    names.of("error");
    await answer("none", null);
    await answer("error", new Error("SERVFAIL"));
    expect([names.of("none"), names.of("error")]).toEqual([null, null]);
    expect(asked).toHaveLength(2);
    pass(60_000);
    names.of("none");
    expect(asked).toEqual(["none", "error", "none"]);
  });

  test("that are old are told while a new one is asked for", async () => {
    const { names, asked, answer, pass } = controlled();
    names.of("a");
    await answer("a", "old");
    pass(599_999);
    expect(names.of("a")).toBe("old");
    expect(asked).toHaveLength(1);
    pass(1);
    expect(names.of("a")).toBe("old");
    expect(asked).toHaveLength(2);
    await answer("a", "new");
    expect(names.of("a")).toBe("new");
  });

  test("are looked up 16 at a time; 1,024 wait, and others may come again", async () => {
    const { names, asked, open, answer } = controlled();
    for (let n = 0; n < 5000; n++) names.of(String(n));
    expect(asked).toHaveLength(16);
    while (open.size > 0) await answer(open.keys().next().value!, "x");
    expect(asked).toHaveLength(16 + 1024);
    expect(names.of("4999")).toBeNull();
    expect(asked.at(-1)).toBe("4999");
  });

  test("that were learned first are forgotten first, beyond 4,096", async () => {
    const { names, asked, answer } = controlled();
    for (let n = 0; n <= 4096; n++) {
      names.of(String(n));
      await answer(String(n), "x");
    }
    expect([names.of("1"), names.of("4096")]).toEqual(["x", "x"]);
    const before = asked.length;
    expect(names.of("0")).toBeNull();
    expect(asked.slice(before)).toEqual(["0"]);
  });
});

describe("the DNS", () => {
  test.each([
    ["192.0.2.7", ["web", "example"], "web.example"],
    ["2001:db8::7", ["web", "example"], "web.example"],
    // The owner of an address must not make it look like another one.
    ["192.0.2.7", ["10", "0", "0", "1"], null],
    ["192.0.2.7", ["127", "1"], null],
    ["192.0.2.7", ["0x7f000001"], null],
    ["192.0.2.7", ["two words", "example"], null],
  ])("names %s after %j: %p", async (address, labels, name) => {
    using dns = await nameServer(labels);
    using reverse = reverseDns([dns.at]);
    expect(await reverse.lookup(address)).toBe(name);
  });

  test("that does not answer is given up", async () => {
    using dns = await nameServer(null);
    using reverse = reverseDns([dns.at]);
    expect(await reverse.lookup("192.0.2.7").catch(() => null)).toBeNull();
  });
});

describe("a host name", () => {
  test.each([
    ["web.example", "web.example"],
    ["web.example.", "web.example"],
    ["1-2-3-4.dyn.example", "1-2-3-4.dyn.example"],
    ["_sip.example", "_sip.example"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["7.example7", "7.example7"],
  ])("can be %p", (text, name) => expect(hostName(text)).toBe(name));

  test.each([
    ...[
      "127.1",
      "127.0.0.1",
      "2130706433",
      "0x7f000001",
      "0x7f.1",
      "0X7F",
      "017700000001",
      "1.2.3.0x4",
      "1.2.3.0x",
    ],
    ...[
      "::1",
      "fe80::1%lo",
      "a b",
      "a\tb",
      "a..b",
      ".a",
      "-a",
      "a-",
      "",
      ".",
      "\u001b[2J",
      "b\u00fccher.example",
    ],
    `${"a".repeat(64)}.example`,
    Array(64).fill("abc").join("."),
  ])("is never %p", (text) => expect(hostName(text)).toBeNull());
});

test("the file of hosts gives the first name of an address, however that is written", () => {
  const text = [
    "127.0.0.1\tlocalhost loopback # comment",
    "# 10.0.0.9 not",
    "10.0.0.1 one",
    "10.0.0.1 two",
    "2001:DB8:0:0::7 seven",
    "::ffff:10.0.0.3 mapped",
    "fe80::1%lo link",
    "10.0.0.2",
    "",
  ].join("\n");
  expect([...parseHosts(text)]).toEqual([
    ["127.0.0.1", "localhost"],
    ["10.0.0.1", "one"],
    ["2001:db8::7", "seven"],
    ["10.0.0.3", "mapped"],
    ["fe80::1%lo", "link"],
  ]);
  expect(nameInHosts("127.0.0.1", "/nowhere")).toBeNull();
});

describe("users", () => {
  test("have the first of their names, and one that is missing is unknown", () => {
    const users = new Map([
      ["root", 0],
      ["toor", 0],
      ["www-data", 33],
    ]);
    const nameOf = userNames(() => users);
    expect([0, 33, 1000].map(nameOf)).toEqual(["root", "www-data", null]);
  });

  test("that are added are found within a second, and the file is not read more often", () => {
    const users = new Map<string, number>();
    let [clock, reads] = [0, 0];
    const nameOf = userNames(
      () => {
        reads++;
        return users;
      },
      () => clock,
    );
    expect([7, 8].map(nameOf)).toEqual([null, null]);
    users.set("seven", 7);
    expect(nameOf(7)).toBeNull();
    expect(reads).toBe(1);
    clock += 1000;
    expect([7, 7, 8].map(nameOf)).toEqual(["seven", "seven", null]);
    expect(reads).toBe(2);
  });
});
