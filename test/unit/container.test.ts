/** Paths as engines make them, and paths that only look like it. */
import { expect, test } from "bun:test";
import { containerOf } from "../../src/conn/container.ts";
import { anyText, fc } from "./drive/random.ts";

const id = "3f2a".repeat(16);
const other = "b07c".repeat(16);
const pod = "8c4a52f1-8f2f-4a2b-a1f8-2b1f6f0c5d11";
const podSlice = `kubepods-burstable-pod${pod.replaceAll("-", "_")}.slice`;

test.each([
  [`/system.slice/docker-${id}.scope`, id],
  [`/docker/${id}`, id],
  [`/docker/${id}/init`, id],
  [`/docker/buildkit/${id}`, id],
  [`/actions_job/docker/${id}`, id],
  [`/kubepods/burstable/pod${pod}/${id}`, id],
  [`/kubepods/pod${pod}/${id}`, id],
  [`/kubepods.slice/kubepods-burstable.slice/${podSlice}/cri-containerd-${id}.scope`, id],
  [`/kubepods.slice/kubepods-burstable.slice/${podSlice}/crio-${id}.scope/container`, id],
  [`/kubepods.slice/kubepods-besteffort.slice/${podSlice}/docker-${id}.scope`, id],
  [`/system.slice/containerd.service/${podSlice}:cri-containerd:${id}`, id],
  [`/kubelet/kubepods/burstable/pod${pod}/crio-${id}`, id],
  [`/machine.slice/libpod-${id}.scope/container`, id],
  [`/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`, id],
  [`/libpod_parent/libpod-${id}`, id],
  [`/system.slice/nerdctl-${id}.scope`, id],
  [`/default/${id}`, id],
  [`/k8s.io/${id}`, id],
  [`/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/${id}`, id],
  [
    `/ecs/task/0a1b2c3d4e5f60718293a4b5c6d7e8f9-2713400`,
    "0a1b2c3d4e5f60718293a4b5c6d7e8f9-2713400",
  ],
  ["/lxc/web", "web"],
  ["/lxc/web/system.slice/ssh.service", "web"],
  ["/lxc.payload/web", "web"],
  ["/lxc.payload.web/init.scope", "web"],
  ["/machine.slice/machine-web.scope", "web"],
  ["/machine.slice/machine-my\\x2dweb.scope/payload/system.slice", "my-web"],
  ["/machine.slice/systemd-nspawn@web.service/payload", "web"],
  // Of containers in a container, the inner one.
  [`/docker/${other}/docker/${id}`, id],
  [`/system.slice/docker-${other}.scope/kubepods/pod${pod}/${id}`, id],
  [`/lxc.payload.outer/system.slice/docker-${id}.scope`, id],
  [`/docker/${id}/system.slice/ssh.service`, id],
])("%s is the container's %s", (path, container) => {
  expect(containerOf(path)).toBe(container);
});

test.each([
  "/",
  "/system.slice/docker.service",
  "/system.slice/nginx.service",
  "/user.slice/user-1000.slice/session-3.scope",
  "/init.scope",
  `/system.slice/docker-${id.slice(1)}.scope`,
  `/system.slice/docker-${id}0.scope`,
  `/system.slice/docker-${id.toUpperCase()}.scope`,
  `/system.slice/docker-${id}.service`,
  `/system.slice/my-docker-${id}.scope`,
  `/system.slice/crio-conmon-${id}.scope`,
  `/machine.slice/libpod-conmon-${id}.scope`,
  `/kubepods/burstable/pod${pod}`,
  `/somewhere/${id}`,
  `/notdocker/${id}`,
  "/lxc",
  "/lxc.monitor.web",
  "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope",
  "/elsewhere/machine-web.scope",
  "/machine.slice/systemd-nspawn@.service",
])("%s is no container's", (path) => {
  expect(containerOf(path)).toBeNull();
});

test("any path has an answer, and what is told stands in it", () => {
  const part = fc.constantFrom("docker", "lxc", "kubepods", id, `docker-${id}.scope`, "a", "", ":");
  fc.assert(
    fc.property(fc.array(fc.oneof(part, anyText()), { maxLength: 20 }), (of) => {
      const path = `/${of.join("/")}`;
      const container = containerOf(path);
      if (container !== null && !path.includes("\\x")) expect(path).toContain(container);
    }),
  );
});
