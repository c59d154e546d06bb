/**
 * Further subflows of MPTCP: the kernel opens one from each address that the network namespace has as an endpoint. Source:
 * <linux/mptcp_pm.h>, <linux/mptcp.h>, <linux/genetlink.h>, <linux/fib_rules.h>.
 */
import { closeSync, openSync } from "node:fs";
import { AF_INET, CLONE_NEWNET } from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { ownNetnsPath } from "../../../src/kernel/namespaces.ts";
import {
  attribute,
  attributesOf,
  errnoOf,
  message,
  nested,
  NetlinkSocket,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_REQUEST,
} from "../../../src/kernel/netlink.ts";
import { check } from "./peer.ts";

/** Runs `work` in a network namespace of its own, in which MPTCP opens a further subflow from this IPv4 address of lo. */
export function withEndpoint<T>(address: string, work: () => T): T {
  const home = openSync(ownNetnsPath(), "r");
  check(libc.unshare(CLONE_NEWNET), "unshare");
  try {
    libc.bringInterfaceUp("lo");
    addEndpoint(address);
    return work();
  } finally {
    check(libc.setns(home, CLONE_NEWNET), "setns");
    closeSync(home);
  }
}

/** How many subflows this MPTCP socket has besides its first one. */
export function furtherSubflows(fd: number): number {
  const info = new Uint8Array(64);
  check(libc.getsockopt(fd, SOL_MPTCP, MPTCP_INFO, info), "MPTCP_INFO");
  return info[0]!; // mptcpi_subflows
}

/**
 * Nothing has a route from this IPv4 address any more, in the calling thread's network namespace. The rule for local addresses
 * is the first of all, so that it has to be put behind.
 */
export function forbidRoutesFrom(address: string): void {
  const { ask, socket } = asking(NETLINK_ROUTE);
  using _ = socket;
  const rule = (type: number, source: number, action: number, ...attributes: Uint8Array[]) => {
    const table = action === FR_ACT_TO_TBL ? RT_TABLE_LOCAL : 0;
    const header = Uint8Array.of(AF_INET, 0, source, 0, table, 0, 0, action, 0, 0, 0, 0);
    ask(type, [header, ...attributes]);
  };
  rule(
    RTM_NEWRULE,
    32,
    FR_ACT_PROHIBIT,
    attribute(FRA_PRIORITY, u32(1)),
    attribute(FRA_SRC, ipv4(address)),
  );
  rule(RTM_NEWRULE, 0, FR_ACT_TO_TBL, attribute(FRA_PRIORITY, u32(2)));
  rule(RTM_DELRULE, 0, FR_ACT_TO_TBL, attribute(FRA_PRIORITY, u32(0)));
}

// --- internal ---

const NETLINK_ROUTE = 0;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const FRA_SRC = 2;
const FRA_PRIORITY = 6;
const FR_ACT_TO_TBL = 1;
const FR_ACT_PROHIBIT = 8;
const RT_TABLE_LOCAL = 255;

const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const GENL_HEADER = 4;

const SOL_MPTCP = 284;
const MPTCP_INFO = 1;
const MPTCP_PM_CMD_ADD_ADDR = 1;
const MPTCP_PM_CMD_SET_LIMITS = 5;
const MPTCP_PM_ATTR_ADDR = 1;
const MPTCP_PM_ATTR_RCV_ADD_ADDRS = 2;
const MPTCP_PM_ATTR_SUBFLOWS = 3;
const MPTCP_PM_ADDR_ATTR_FAMILY = 1;
const MPTCP_PM_ADDR_ATTR_ADDR4 = 3;
const MPTCP_PM_ADDR_ATTR_FLAGS = 6;
const MPTCP_PM_ADDR_FLAG_SUBFLOW = 2;

const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8);
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);

const ipv4 = (address: string) => Uint8Array.from(address.split(".").map(Number));

/** Throws where the kernel answers with an error. */
function asking(protocol: number) {
  const socket = NetlinkSocket.open(protocol);
  if (typeof socket === "number") throw new Error(`netlink: ${libc.errnoName(socket)}`);
  const ask = (type: number, payload: readonly Uint8Array[]) => {
    const answers = socket.ask([
      message(type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, payload),
    ]);
    if (typeof answers === "number") throw new Error(`netlink: ${libc.errnoName(answers)}`);
    for (const answer of answers) {
      const errno = errnoOf(answer) ?? 0;
      if (errno !== 0) throw new Error(`netlink, message ${type}: ${libc.errnoName(errno)}`);
    }
    return answers;
  };
  return { ask, socket };
}

function addEndpoint(address: string): void {
  const { ask, socket } = asking(NETLINK_GENERIC);
  using _ = socket;
  const command = (type: number, number: number, ...attributes: Uint8Array[]) =>
    ask(type, [Uint8Array.of(number, 1, 0, 0), ...attributes]);
  const name = attribute(CTRL_ATTR_FAMILY_NAME, Buffer.from("mptcp_pm\0"));
  const [family] = command(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, name);
  const id = attributesOf(family!, GENL_HEADER).find(CTRL_ATTR_FAMILY_ID)!.bytes(2);
  const type = id[0]! | (id[1]! << 8);
  command(
    type,
    MPTCP_PM_CMD_SET_LIMITS,
    attribute(MPTCP_PM_ATTR_SUBFLOWS, u32(1)),
    attribute(MPTCP_PM_ATTR_RCV_ADD_ADDRS, u32(1)),
  );
  command(
    type,
    MPTCP_PM_CMD_ADD_ADDR,
    nested(
      MPTCP_PM_ATTR_ADDR,
      attribute(MPTCP_PM_ADDR_ATTR_FAMILY, u16(AF_INET)),
      attribute(MPTCP_PM_ADDR_ATTR_ADDR4, ipv4(address)),
      attribute(MPTCP_PM_ADDR_ATTR_FLAGS, u32(MPTCP_PM_ADDR_FLAG_SUBFLOW)),
    ),
  );
}
