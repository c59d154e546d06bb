/** In the guest: which version of control groups is mounted. Hosts have version 1 up to RHEL 8 and Ubuntu 20.04. */

/** A guest begins with version 2: test/vm/init.sh. */
let mounted: 1 | 2 = 2;

const HERE = "/sys/fs/cgroup";
/** Controllers that each kernel offers to version 1. */
const CONTROLLERS = "cpu pids freezer";
const scripts = {
  1: `umount ${HERE}; mount -t tmpfs tmpfs ${HERE}; for c in ${CONTROLLERS}; do mkdir ${HERE}/$c; mount -t cgroup -o $c cgroup ${HERE}/$c; done`,
  2: `for c in ${CONTROLLERS}; do umount ${HERE}/$c; done; umount ${HERE}; mount -t cgroup2 cgroup2 ${HERE}`,
};

export function mountGroups(version: 1 | 2): void {
  if (version === mounted) return;
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-ec", scripts[version]]);
  if (exitCode !== 0) throw new Error(`control groups ${version}: ${stderr.toString().trim()}`);
  mounted = version;
}
