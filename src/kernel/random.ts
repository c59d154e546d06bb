/** Random numbers that nobody has to keep secret: names and addresses that nobody else is likely to choose. */
import { close, open, read } from "./libc.ts";
import { O_CLOEXEC, O_RDONLY } from "./constants.ts";

/**
 * From /dev/urandom, which never waits. getrandom(2), which `crypto` calls, waits on Linux before 5.6 until the host has
 * gathered entropy: minutes on a fresh virtual machine. `device` is for tests.
 */
export function randomBytes(count: number, device = "/dev/urandom"): Uint8Array {
  const bytes = new Uint8Array(count);
  const fd = open(device, O_RDONLY | O_CLOEXEC);
  const got = fd < 0 ? 0 : read(fd, bytes);
  if (fd >= 0) close(fd);
  // A chroot may have no devices.
  for (let i = Math.max(0, got); i < count; i++) bytes[i] = Math.floor(Math.random() * 256);
  return bytes;
}

export const randomU32 = (): number => new DataView(randomBytes(4).buffer).getUint32(0);
