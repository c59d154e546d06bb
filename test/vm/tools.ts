import { existsSync } from "node:fs";

// Programs that the lab runs. To add one, write the file that proves it is there, and its Debian package.
const tools = [
  { file: "/usr/bin/qemu-system-x86_64", package: "qemu-system-x86" },
  { file: "/usr/bin/qemu-system-aarch64", package: "qemu-system-arm" },
  { file: "/usr/share/keyrings/debian-archive-keyring.gpg", package: "debian-archive-keyring" },
  { file: "/usr/bin/xz", package: "xz-utils" },
] as const;

/** Installs what is missing, as root on Debian and Ubuntu; anyone else is told the one command. */
export async function installTools(): Promise<void> {
  const missing = tools.filter((tool) => !existsSync(tool.file)).map((tool) => tool.package);
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    throw new Error(
      `the VM lab needs ${missing.join(", ")}; install with: sudo sh -c 'apt-get update && ${command}'`,
    );
  }
  console.error(`vm: installing ${missing.join(" ")}`);
  const script = `apt-get update -qq && ${command} -qq`;
  const install = Bun.spawn(["sh", "-c", script], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    // apt's own words are progress, not results.
    stdout: Bun.stderr,
    stderr: "inherit",
  });
  if ((await install.exited) !== 0) throw new Error(`apt could not install ${missing.join(", ")}`);
}
