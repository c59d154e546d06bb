/**
 * Numbers by which a network namespace knows others (ip netns list-id): the kernel gives one to each namespace that a veth
 * leads to. To ask takes no capability.
 */
import { closeSync, openSync, statSync } from "node:fs";
import { NetlinkSocket, NLM_F_REQUEST, attribute, attributesOf, message } from "./netlink.ts";
import type { Namespace } from "./namespaces.ts";

/** That of another namespace in the calling thread's; `null`: it has none, or its file no longer stands for it. */
export function netnsIdOf({ netns, path }: Namespace): number | null {
  const opened = NetlinkSocket.open(NETLINK_ROUTE);
  if (typeof opened === "number") return null;
  using socket = opened;
  try {
    const fd = openSync(path, "r");
    try {
      return statSync(`/proc/self/fd/${fd}`).ino === netns ? ask(socket, fd) : null;
    } finally {
      closeSync(fd);
    }
  } catch {
    return null; // The process has ended.
  }
}

// --- internal ---

const NETLINK_ROUTE = 0;
const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
/** struct rtgenmsg, padded. */
const RTGENMSG = new Uint8Array(4);

function ask(socket: NetlinkSocket, fd: number): number | null {
  const value = new Uint8Array(Uint32Array.of(fd).buffer);
  const request = message(RTM_GETNSID, NLM_F_REQUEST, 1, [RTGENMSG, attribute(NETNSA_FD, value)]);
  const answers = socket.ask([request]);
  if (typeof answers === "number") return null;
  const answer = answers.find(({ type }) => type === RTM_NEWNSID);
  const id = answer && attributesOf(answer, RTGENMSG.length).find(NETNSA_NSID)?.bytes(4);
  if (!id) return null;
  const number = new DataView(id.buffer, id.byteOffset, 4).getInt32(0, true);
  return number < 0 ? null : number;
}
