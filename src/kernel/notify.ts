/** The protocol by which a service tells its service manager how it is: sd_notify(3). */
import { AF_UNIX, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_DGRAM } from "./constants.ts";
import { close, errnoName, sendto, socket } from "./libc.ts";
import { sockaddrUnix } from "./sockaddr.ts";

/** `name` is that of NOTIFY_SOCKET. Returns why the manager could not be told; `null`: it was told. */
export function notifyReady(name: string, status: string): string | null {
  const address = sockaddrUnix(name);
  if (address === null) return "it is no name of a socket of this host";
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return `socket(2) is refused (${errnoName(-fd)})`;
  const sent = sendto(fd, Buffer.from(`READY=1\nSTATUS=${status}`), MSG_NOSIGNAL, address);
  close(fd);
  return sent < 0 ? `nothing can be sent to it (${errnoName(-sent)})` : null;
}
