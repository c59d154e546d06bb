/** The interface of a link-local address, from texts as /proc/net/if_inet6 has them. */
import { describe, expect, test } from "bun:test";
import { type LinkLocals, linkLocalsOf, parseLinkLocals } from "../../src/kernel/interfaces.ts";
import { isLinkLocal } from "../../src/record/address.ts";
import { Interfaces } from "../../src/trace/process/interfaces.ts";

const TEXT = `fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 04 40 00 82     eth0
fe80000000000000000000000000000a 05 40 20 80 br-1234567890ab
fe80000000000000000000000000000b 1a2 40 20 80   vlan 7
fe80000000000000000000000000000c 06 40 20 80     eth1
fe80000000000000000000000000000c 07 40 20 80   eth1.7
00000000000000000000000000000001 01 80 10 80       lo
`;

describe("the link-local addresses of a namespace", () => {
  test("are read with the names of their interfaces, and null where several have one", () => {
    expect(Object.fromEntries(parseLinkLocals(TEXT))).toEqual({
      "fe80::fc:ff:fe00:1": "eth0",
      "fe80::a": "br-1234567890ab",
      "fe80::b": "vlan 7",
      "fe80::c": null,
    });
  });

  test("are read of no process that is gone or elsewhere", () => {
    expect(linkLocalsOf("self", 1)).toBeNull();
    expect(linkLocalsOf(2 ** 22 + 1, 1)).toBeNull();
  });

  test("are fe80::/10", () => {
    const is = ["fe80::1", "fe8f::1", "febf:1::", "fec0::1", "fe80:", "fd00::1", "fe8::1"];
    expect(is.map(isLinkLocal)).toEqual([true, true, true, false, true, false, false]);
  });
});

describe("the interface of an address", () => {
  const rig = (texts: Record<number, string>) => {
    const asked: number[] = [];
    const at = { nowMs: 0 };
    const source = {
      linkLocals(netns: number): LinkLocals | null {
        asked.push(netns);
        return texts[netns] === undefined ? null : parseLinkLocals(texts[netns]);
      },
      nowMs: () => at.nowMs,
    };
    return { interfaces: new Interfaces(source), asked, at };
  };

  test("is that of its namespace", () => {
    const { interfaces } = rig({ 1: TEXT, 2: TEXT.replaceAll("eth0", "eth5") });
    const names = [1, 2, 3].map((netns) => interfaces.nameOf("fe80::fc:ff:fe00:1", netns, 7));
    expect(names).toEqual(["eth0", "eth5", null]);
  });

  test("is not told where two have the address, or none has", () => {
    const { interfaces } = rig({ 1: TEXT });
    expect(["fe80::c", "fe80::d"].map((a) => interfaces.nameOf(a, 1, 7))).toEqual([null, null]);
  });

  test("is kept for a second, but an address that is new is looked for at once", () => {
    const { interfaces, asked, at } = rig({ 1: TEXT });
    const names = () => interfaces.nameOf("fe80::a", 1, 7);
    names();
    at.nowMs = 999;
    names();
    expect(asked).toHaveLength(1);
    interfaces.nameOf("fe80::d", 1, 7);
    expect(asked).toHaveLength(2);
    at.nowMs = 1999;
    names();
    expect(asked).toHaveLength(3);
  });
});
