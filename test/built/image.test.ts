/** The image of packaging/Containerfile and the container of packaging/daemonset.yaml, as far as a chroot is one. */
import { connect, listen } from "bun";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const repo = join(import.meta.dir, "../..");
const containerfile = readFileSync(join(repo, "packaging/Containerfile"), "utf8");
const manifest = Bun.YAML.parse(readFileSync(join(repo, "packaging/daemonset.yaml"), "utf8")) as {
  spec: { template: { spec: Pod } };
};

interface Pod {
  hostPID: boolean;
  containers: {
    args: string[];
    securityContext: { capabilities: { add: string[]; drop: string[] } };
    volumeMounts: { name: string; mountPath: string }[];
  }[];
  volumes: { name: string; hostPath: { path: string } }[];
}

const pod = manifest.spec.template.spec;
const container = pod.containers[0]!;

let root: string;
let client: ReturnType<typeof connect> | null = null;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tracer-bpf-image-"));
  for (const [, stage, from, to] of containerfile.matchAll(/^COPY (--from=libc )?(\S+) (\S+)$/gm)) {
    mkdirSync(join(root, to!), { recursive: true });
    copyFileSync(
      stage === undefined ? join(repo, "dist", from!) : from!,
      join(root, to!, basename(from!)),
    );
  }
  // An engine makes these for every container.
  for (const made of ["proc", "sys", "dev"]) mkdirSync(join(root, made));
});
afterAll(() => rmSync(root, { recursive: true }));

/** As its entry point, with the powers and the directories of the host that the manifest gives it. */
function run(...args: string[]) {
  const [, entry] = /^ENTRYPOINT \["(.*)"\]$/m.exec(containerfile)!;
  const { add } = container.securityContext.capabilities;
  const bounding = ["-all", ...add.map((name) => `+${name.toLowerCase()}`), "+sys_chroot"];
  const mounts = ["proc", "sys", "dev"].map((name) => `mount --rbind /${name} "$0/${name}"`);
  const script = `${mounts.join(" && ")} && exec setpriv --bounding-set=${bounding.join(",")} chroot "$0" ${entry} "$@"`;
  return Bun.spawn(["unshare", "--mount", "sh", "-c", script, root, ...args], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    stdout: "pipe",
    stderr: "pipe",
  });
}

// The Containerfile names the files of x86-64.
test.skipIf(process.arch !== "x64")(
  "the image traces the host's processes, with nothing in it but what its Containerfile copies",
  async () => {
    using server = listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const tracer = run(
      ...container.args,
      "--events",
      "connect",
      "-P",
      String(server.port),
      "-c",
      "1",
    );
    let told = "";
    for await (const bytes of tracer.stderr) {
      told += new TextDecoder().decode(bytes);
      if (!told.includes("tracing") || client !== null) continue;
      client = connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
    }
    (await client)?.end();
    expect(await tracer.exited, told).toBe(0);
    expect(told).toContain("none lost");
    const event: unknown = JSON.parse(await new Response(tracer.stdout).text());
    expect(event).toMatchObject({ event: "connect", pid: process.pid });
    // In the host's hierarchy, which it sees.
    expect(event).toMatchObject({ cgroup: expect.stringMatching(/^\//) });
  },
  60_000,
);

test("the manifest gives it the host's processes, control groups and names of containers", () => {
  expect(pod.hostPID).toBe(true);
  expect(container.securityContext.capabilities.drop).toEqual(["ALL"]);
  const byName = new Map(pod.volumes.map(({ name, hostPath }) => [name, hostPath.path]));
  expect(
    container.volumeMounts.map(({ name, mountPath }) => [byName.get(name), mountPath]),
  ).toEqual(
    ["/sys/fs/cgroup", "/var/log/containers", "/run/containerd"].map((path) => [path, path]),
  );
});
