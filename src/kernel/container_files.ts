/**
 * Names of containers, from the files that their engines leave on the host. Nobody is asked: no API, no socket. A file that
 * is not there, is too large or has another form tells nothing.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";

/** All of it raw text, as the engine has it. */
export interface ContainerFacts {
  name?: string;
  image?: string;
  pod?: string;
  podNamespace?: string;
}

/** The facts that the files below `root` tell of the container with this id, 64 hexadecimal digits; `null`: none. */
export function containerFacts(id: string, root = ""): ContainerFacts | null {
  const found: ContainerFacts = {};
  for (const read of sources) {
    const facts = read(root, id);
    // The first one that tells a fact is believed.
    for (const [name, value] of Object.entries(facts))
      found[name as keyof ContainerFacts] ??= value;
  }
  return Object.keys(found).length === 0 ? null : found;
}

// --- internal ---

/** A configuration has some ten KiB; containers.json has some KiB for each container. */
const FILE_BYTES_MAX = 4 << 20;
/** No engine allows longer ones. */
const TEXT_MAX = 512;

type Source = (root: string, id: string) => ContainerFacts;

/** Each place where engines write, the most telling first. To add one, add a row. */
const sources: readonly Source[] = [
  // containerd, by its namespaces: those of Kubernetes, of docker and of nerdctl and ctr.
  ...["k8s.io", "moby", "default"].map(
    (space): Source =>
      (root, id) =>
        ofAnnotations(
          `${root}/run/containerd/io.containerd.runtime.v2.task/${space}/${id}/config.json`,
        ),
  ),
  // CRI-O, and podman, whose annotations do not name it.
  (root, id) =>
    ofAnnotations(`${root}/run/containers/storage/overlay-containers/${id}/userdata/config.json`),
  (root, id) => ofDocker(`${root}/var/lib/docker/containers/${id}/config.v2.json`),
  (root, id) =>
    ofPodman(`${root}/var/lib/containers/storage/overlay-containers/containers.json`, id),
  // The kubelet, whatever the engine.
  (root, id) => ofLogs(`${root}/var/log/containers`, id),
];

/** The names that annotations and labels have, of containerd's CRI plugin, CRI-O and dockershim. */
const NOTED: Readonly<Record<keyof ContainerFacts, readonly string[]>> = {
  name: ["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"],
  image: ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"],
  pod: ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"],
  podNamespace: ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"],
};

const ofAnnotations = (path: string): ContainerFacts =>
  ofNotes(memberOf(jsonOf(path), "annotations"));

function ofNotes(notes: unknown): ContainerFacts {
  const facts: ContainerFacts = {};
  for (const [fact, names] of Object.entries(NOTED))
    for (const name of names) put(facts, fact as keyof ContainerFacts, memberOf(notes, name));
  return facts;
}

function ofDocker(path: string): ContainerFacts {
  const file = jsonOf(path);
  const config = memberOf(file, "Config");
  const facts = ofNotes(memberOf(config, "Labels"));
  const name = memberOf(file, "Name");
  put(facts, "name", typeof name === "string" ? name.replace(/^\//, "") : undefined);
  put(facts, "image", memberOf(config, "Image"));
  return facts;
}

/** The store's list of all containers; `metadata` is the engine's own, JSON in a text. */
function ofPodman(path: string, id: string): ContainerFacts {
  const list = jsonOf(path);
  const one: unknown = Array.isArray(list)
    ? list.find((each: unknown) => memberOf(each, "id") === id)
    : undefined;
  const facts: ContainerFacts = {};
  const metadata = memberOf(one, "metadata");
  const names = memberOf(one, "names");
  put(facts, "name", Array.isArray(names) ? names[0] : undefined);
  if (typeof metadata === "string") put(facts, "image", memberOf(parsed(metadata), "image-name"));
  return facts;
}

/** A link to each log: `POD_NAMESPACE_CONTAINER-ID.log`. No name of Kubernetes has an underscore. */
function ofLogs(directory: string, id: string): ContainerFacts {
  const end = `-${id}.log`;
  const [pod, podNamespace, name, ...more] =
    namesIn(directory)
      .find((file) => file.endsWith(end))
      ?.slice(0, -end.length)
      .split("_") ?? [];
  const facts: ContainerFacts = {};
  if (name === undefined || more.length > 0) return facts;
  for (const [fact, value] of Object.entries({ name, pod, podNamespace }))
    put(facts, fact as keyof ContainerFacts, value);
  return facts;
}

function put(facts: ContainerFacts, fact: keyof ContainerFacts, value: unknown): void {
  if (typeof value === "string" && value !== "" && value.length <= TEXT_MAX) facts[fact] ??= value;
}

/** The object's own: a file may name anything. */
const memberOf = (of: unknown, name: string): unknown =>
  typeof of === "object" && of !== null && Object.hasOwn(of, name)
    ? (of as Record<string, unknown>)[name]
    : undefined;

function jsonOf(path: string): unknown {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) return null;
    return parsed(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
