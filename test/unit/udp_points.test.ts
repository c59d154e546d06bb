/** The function in which a received UDP datagram is seen, on kernels of different times. */
import { expect, test } from "bun:test";
import { udpKprobes } from "../../src/trace/udp/points.ts";

const always = ["ip_send_skb", "udp_destroy_sock", "udp_recvmsg"];

function receiving(symbols: string[], lengths: boolean) {
  const has = (symbol: string) => [...always, ...symbols].includes(symbol);
  const found = udpKprobes(has, false, lengths);
  if ("missing" in found) return found;
  const point = found.find(({ kprobe }) => symbols.includes(kprobe))!;
  return { program: point.program, at: point.kprobe };
}

const [freed, length, consumed] = [
  "skb_free_datagram_locked",
  "__skb_free_datagram_locked",
  "skb_consume_udp",
];

test.each([
  ["Linux 4.4", [freed], false, "on_skb_free_datagram_locked", freed],
  ["Linux 4.9", [freed, length], true, "on_skb_free_datagram_length", length],
  ["Linux 4.14", [freed, length, consumed], true, "on_skb_consume_udp", consumed],
  ["Linux 4.4 with the change of 4.7", [length], false, "on_skb_free_datagram_locked", length],
  ["RHEL 7", [freed, consumed], false, "on_skb_free_datagram_locked", consumed],
])("%s", (_, symbols, lengths, program, at) => {
  expect(receiving(symbols, lengths) as unknown).toEqual({ program, at });
});

test.each([
  [false, ["udp_recvmsg"]],
  [true, ["udp_recvmsg", "udpv6_recvmsg"]],
])("where no function is told a length, receives are seen as they begin; IPv6: %s", (ipv6, at) => {
  const points = (lengths: boolean) => {
    const found = udpKprobes(() => true, ipv6, lengths);
    return "missing" in found ? found : found.filter((p) => p.program === "on_udp_receive");
  };
  expect(points(true)).toEqual([]);
  expect(points(false)).toMatchObject(at.map((kprobe) => ({ kprobe })));
});

test("a kernel without any of them is told by the newest name", () => {
  expect(receiving([], true)).toEqual({ missing: consumed });
});
