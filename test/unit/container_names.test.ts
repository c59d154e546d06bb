/** Names of containers and pods, from trees of files as engines leave them on a host. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { containerFacts, type ContainerFacts } from "../../src/kernel/container_files.ts";
import { ContainerNames } from "../../src/trace/process/container_names.ts";

const ID = "5eed".repeat(16);
const OTHER = "0dd5".repeat(16);

const roots: string[] = [];
afterEach(() => roots.splice(0).forEach((root) => rmSync(root, { recursive: true })));

/** A host with these files; an object is written as JSON. */
function hostWith(files: Record<string, unknown>): string {
  const root = mkdtempSync(join(tmpdir(), "tracer-bpf-"));
  roots.push(root);
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  }
  return root;
}

const task = (space: string) =>
  `run/containerd/io.containerd.runtime.v2.task/${space}/${ID}/config.json`;
const storage = "containers/storage/overlay-containers";

const hosts: readonly (readonly [string, Record<string, unknown>, ContainerFacts])[] = [
  [
    "containerd with Kubernetes",
    {
      [task("k8s.io")]: {
        ociVersion: "1.1.0",
        annotations: {
          "io.kubernetes.cri.container-name": "web",
          "io.kubernetes.cri.container-type": "container",
          "io.kubernetes.cri.image-name": "registry.example/shop/web:7",
          "io.kubernetes.cri.sandbox-name": "shop-7d9f-x2x9q",
          "io.kubernetes.cri.sandbox-namespace": "prod",
        },
      },
    },
    {
      ...{ name: "web", image: "registry.example/shop/web:7" },
      ...{ pod: "shop-7d9f-x2x9q", podNamespace: "prod" },
    },
  ],
  [
    "CRI-O",
    {
      [`run/${storage}/${ID}/userdata/config.json`]: {
        annotations: {
          "io.kubernetes.container.name": "db",
          "io.kubernetes.cri-o.ImageName": "quay.example/db:16",
          "io.kubernetes.pod.name": "db-0",
          "io.kubernetes.pod.namespace": "data",
        },
      },
    },
    { name: "db", image: "quay.example/db:16", pod: "db-0", podNamespace: "data" },
  ],
  [
    "docker",
    {
      [`var/lib/docker/containers/${ID}/config.v2.json`]: {
        ID,
        Name: "/eager_hopper",
        Config: { Image: "nginx:1.27", Labels: { maintainer: "somebody" } },
      },
    },
    { name: "eager_hopper", image: "nginx:1.27" },
  ],
  [
    "podman",
    {
      [`run/${storage}/${ID}/userdata/config.json`]: {
        annotations: { "io.container.manager": "libpod" },
      },
      [`var/lib/${storage}/containers.json`]: [
        { id: OTHER, names: ["wrong"], metadata: "{}" },
        {
          ...{ id: ID, names: ["web"], image: "ab".repeat(32) },
          metadata: JSON.stringify({ "image-name": "docker.io/library/nginx:latest", name: "web" }),
        },
      ],
    },
    { name: "web", image: "docker.io/library/nginx:latest" },
  ],
  ["nothing of it", { [`var/lib/docker/containers/${OTHER}/config.v2.json`]: { Name: "/x" } }, {}],
  ["no file at all", {}, {}],
  ["a damaged file", { [task("k8s.io")]: '{"annotations": {"io.kube' }, {}],
  [
    "files of other forms",
    {
      [task("k8s.io")]: { annotations: ["io.kubernetes.cri.container-name"] },
      [task("default")]: { annotations: { "io.kubernetes.cri.container-name": 7 } },
      [`var/lib/docker/containers/${ID}/config.v2.json`]: { Name: "", Config: null },
      [`var/lib/${storage}/containers.json`]: [null, { id: ID, names: "web", metadata: "{" }],
      [`var/log/containers/only-two_parts-${ID}.log`]: "",
    },
    {},
  ],
  [
    "a name that is too long to be one",
    { [`var/lib/docker/containers/${ID}/config.v2.json`]: { Name: `/${"x".repeat(513)}` } },
    {},
  ],
];

test.each(hosts)("a host with %s", (_, files, facts) => {
  expect(containerFacts(ID, hostWith(files)) ?? {}).toEqual(facts);
});

test("the kubelet's links to logs name the pod, whatever the engine", () => {
  const root = hostWith({ "var/log/containers/other_pod_c-aa.log": "" });
  // The log that a link points to is root's own, and may be gone.
  symlinkSync(
    "/var/log/pods/prod_shop-x2x9q_3f1e/web/0.log",
    join(root, `var/log/containers/shop-x2x9q_prod_web-1-${ID}.log`),
  );
  expect(containerFacts(ID, root)).toEqual({
    ...{ name: "web-1", pod: "shop-x2x9q", podNamespace: "prod" },
  });
});

describe("names", () => {
  function world() {
    const now = { ms: 0, asked: 0, facts: null as ContainerFacts | null };
    const names = new ContainerNames({
      facts() {
        now.asked++;
        return now.facts;
      },
      nowMs: () => now.ms,
    });
    return { now, names };
  }

  test("are asked for once", () => {
    const { now, names } = world();
    now.facts = { name: "web", pod: "shop" };
    for (let n = 0; n < 9; n++) expect(names.of(ID)).toEqual({ containerName: "web", pod: "shop" });
    expect(now.asked).toBe(1);
  });

  test("that come after the first connection are found, and given up after a minute", () => {
    const { now, names } = world();
    expect(names.of(ID)).toBeNull();
    now.facts = { name: "late" };
    expect(names.of(ID)).toBeNull();
    now.ms = 5_000;
    expect(names.of(ID)).toEqual({ containerName: "late" });
    now.facts = null;
    for (now.ms = 0; now.ms < 1_000_000; now.ms += 1000) names.of(OTHER);
    expect(now.asked).toBe(2 + 13);
  });

  test("are not asked for where the control group has the name", () => {
    const { now, names } = world();
    expect(names.of("my-lxc")).toBeNull();
    expect(names.of("../../etc/passwd")).toBeNull();
    expect(now.asked).toBe(0);
  });
});
