/** Reads the container's id from the path of a control group. Pure. */

/** Engines name a container by 32 random bytes. */
const ID = "[0-9a-f]{64}";
/** Pods and their classes stand between an engine's parent and the container. */
const BETWEEN = "(?:[^/]+/){0,4}";

/**
 * How engines name the control groups of their containers, from the slash on; what is captured is the id, or the name
 * where the engine has no more. To add one, add a row.
 */
const shapes: readonly RegExp[] = [
  // The systemd drivers of docker, Kubernetes, podman and nerdctl. Their monitors (crio-conmon-…) are no containers.
  `(?:docker|cri-containerd|crio|libpod|nerdctl)-(${ID})\\.scope`,
  // A systemd name given to a cgroupfs driver: kubepods-burstable-pod….slice:cri-containerd:<id>
  `[^/:]+:[^/:]+:(${ID})`,
  // CRI-O and podman with the cgroupfs driver.
  `(?:crio|libpod)-(${ID})`,
  // The cgroupfs drivers of docker, buildkit, containerd (below its namespaces) and Kubernetes; ECS below its task.
  `(?:docker|buildkit|default|moby|k8s\\.io|kubepods|kubepods\\.slice|ecs)/${BETWEEN}(${ID})`,
  // Fargate: the task and a number.
  `ecs/${BETWEEN}([0-9a-f]{32}-\\d+)`,
  // LXC and Incus: since 4.0, and before.
  `lxc\\.payload\\.([^/]+)`,
  `lxc(?:\\.payload)?/([^/]+)`,
  // systemd-nspawn by hand and as a service. libvirt's (machine-qemu-…) are virtual machines.
  `machine\\.slice/machine-(?!qemu\\\\x2d|lxc\\\\x2d)([^/]+)\\.scope`,
  `machine\\.slice/systemd-nspawn@([^/]+)\\.service`,
  // Greedy, so that of nested ones the innermost is found.
].map((shape) => new RegExp(`^.*/${shape}(?=/|$)`, "s"));

/**
 * The id (docker and its like) or the name (LXC, systemd-nspawn) of the innermost container that a control group
 * belongs to: `/system.slice/docker-<id>.scope`, `/kubepods/besteffort/pod<uid>/<id>`. `null`: none, as far as its path
 * tells.
 */
export function containerOf(cgroup: string): string | null {
  let innermost: RegExpExecArray | null = null;
  for (const shape of shapes) {
    const match = shape.exec(cgroup);
    if (match !== null && match[0].length > (innermost?.[0].length ?? 0)) innermost = match;
  }
  return innermost === null ? null : unescapeUnit(innermost[1]!);
}

// --- internal ---

/** systemd writes `\xNN` for what the name of a unit cannot hold, `-` among it. */
const unescapeUnit = (name: string): string =>
  name.replace(/\\x([2-7][0-9a-f])/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
