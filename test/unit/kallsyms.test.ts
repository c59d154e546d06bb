import { describe, expect, test } from "bun:test";
import { BUILT_IN, SymbolSearch } from "../../src/kernel/kallsyms.ts";

const LINES = [
  "ffffffff81000000 T tcp_close",
  "ffffffff81000010 t skb_consume_udp.isra.0",
  "ffffffff81000020 T skb_consume_udp_more",
  "ffffffff81000030 t ip_send_skb.constprop.0.isra.1\t[mod]",
  "ffffffff81000040 T ip_send_skb",
  "ffffffff81000050 t udp_destroy_sock.cold",
  "ffffffff81000060 t udp_destroy_sock.part.0",
  "ffffffff81000070 D tcp_done",
  "ffffffff81000080 t tcp_connect\t[mod]",
  "ffffffff81000090 t  tcp_shutdown",
].map((line) => `${line}\n`);

/** All of `text`, in pieces of `size` bytes. */
function found(names: readonly string[], text: string, size: number): Record<string, string> {
  const search = new SymbolSearch(names);
  let rest = Buffer.alloc(0);
  for (let at = 0; at < text.length; at += size) {
    rest = Buffer.concat([rest, Buffer.from(text.slice(at, at + size))]);
    rest = rest.subarray(search.take(rest));
  }
  return Object.fromEntries(search.found);
}

describe("functions in /proc/kallsyms", () => {
  test.each([7, 30, 1000])(
    "are found under their name or a clone's, in pieces of %i bytes",
    (n) => {
      const names = [
        "tcp_close",
        "skb_consume_udp",
        "ip_send_skb",
        "udp_destroy_sock",
        "tcp_done",
        "tcp_connect",
        "tcp_shutdown",
      ];
      expect(found(names, LINES.join(""), n)).toEqual({
        tcp_close: "tcp_close",
        skb_consume_udp: "skb_consume_udp.isra.0",
        ip_send_skb: "ip_send_skb",
        tcp_connect: "tcp_connect",
      });
    },
  );

  test("of several clones the first is taken, and a line without its end is not looked at", () => {
    const text = "0 t a.isra.0\n1 t a.isra.1\n2 T a";
    expect(found(["a"], text, 1000)).toEqual({ a: "a.isra.0" });
    expect(found(["a"], `${text}\n`, 1000)).toEqual({ a: "a" });
  });

  test("of a module are not those of the kernel itself", () => {
    const search = new SymbolSearch(["ip_send_skb", "tcp_connect"], BUILT_IN);
    search.take(Buffer.from(LINES.join("")));
    expect(Object.fromEntries(search.found)).toEqual({ ip_send_skb: "ip_send_skb" });
  });

  test("the search is over once each has been found under its own name", () => {
    const search = new SymbolSearch(["a", "b"]);
    search.take(Buffer.from("0 T a\n1 t b.isra.0\n"));
    expect(search.done).toBe(false);
    search.take(Buffer.from("2 t b\n"));
    expect(search.done).toBe(true);
  });
});
