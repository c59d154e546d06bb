import { installMissing } from "../../src/build/apt.ts";

/** Programs that the lab runs. To add one, write the file that proves it is there, and its Debian package. */
const tools = [
  { name: "qemu-system-x86", proof: "/usr/bin/qemu-system-x86_64" },
  { name: "qemu-system-arm", proof: "/usr/bin/qemu-system-aarch64" },
  { name: "debian-archive-keyring", proof: "/usr/share/keyrings/debian-archive-keyring.gpg" },
  { name: "xz-utils", proof: "/usr/bin/xz" },
] as const;

export const installTools = (): void => installMissing("the VM lab", tools);
