/** Whether a network interface is up, and making it so. */
import { AF_INET, IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS, SOCK_DGRAM } from "../constants.ts";
import { close, ioctl } from "./files.ts";
import { socket } from "./sockets.ts";

/** Is this interface up in the calling thread's network namespace? -errno when it cannot be asked. */
export function interfaceIsUp(name: string): boolean | number {
  const flags = interfaceFlags(name);
  return flags < 0 ? flags : (flags & IFF_UP) !== 0;
}

/** The same as `ip link set NAME up`. */
export function bringInterfaceUp(name: string): number {
  const flags = interfaceFlags(name);
  return flags < 0 ? flags : interfaceFlags(name, flags | IFF_UP);
}

export function bringInterfaceDown(name: string): number {
  const flags = interfaceFlags(name);
  return flags < 0 ? flags : interfaceFlags(name, flags & ~IFF_UP);
}

// --- internal ---

/** struct ifreq: char ifr_name[16], short ifr_flags, padded to 40 bytes. Reads, or writes when given `set`. */
function interfaceFlags(name: string, set?: number): number {
  const ifreq = new Uint8Array(40);
  new TextEncoder().encodeInto(name, ifreq.subarray(0, 15));
  const view = new DataView(ifreq.buffer);
  if (set !== undefined) view.setUint16(16, set, true);
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return fd;
  const r = ioctl(fd, set === undefined ? SIOCGIFFLAGS : SIOCSIFFLAGS, ifreq);
  close(fd);
  return r < 0 ? r : view.getUint16(16, true);
}
