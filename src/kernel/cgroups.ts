/**
 * Control groups of version 2: from the id that programs see to a path, and back. The file system they are shown in gives
 * file handles that hold just that id. To open one takes CAP_DAC_READ_SEARCH; without it the tree is searched.
 */
import { closeSync, openSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { ENOENT, ESTALE, O_CLOEXEC, O_PATH } from "./constants.ts";
import * as libc from "./libc.ts";
import { mounts, type Mount } from "./mounts.ts";

export interface Hierarchies {
  /** Where the hierarchy of version 2 is mounted whole; `null`: nowhere. */
  v2: Buffer | null;
  /** Whether there are hierarchies of version 1: processes may be placed in those alone. */
  v1: boolean;
}

let hierarchies: Hierarchies | undefined;

/** Of the mount namespace that the tool runs in, as they are when they are first asked for. */
export const cgroupHierarchies = (): Hierarchies => (hierarchies ??= hierarchiesOf(mounts()));

/** Pure. */
export const hierarchiesOf = (all: readonly Mount[]): Hierarchies => ({
  v2: all.find(({ type, root }) => type === "cgroup2" && root === "/")?.at ?? null,
  v1: all.some(({ type }) => type === "cgroup"),
});

/**
 * The path of the group below the mount, bytes that begin with a slash. `null`: there is no such group any more, or none
 * that is seen from here; `undefined`: it cannot be asked for (nothing is mounted, a kernel without CONFIG_FHANDLE, not
 * allowed).
 */
export function cgroupPathOf(id: bigint): Uint8Array | null | undefined {
  const { v2: mount } = cgroupHierarchies();
  if (mount === null) return undefined;
  const root = openOrNull(mount);
  if (root === null) return undefined;
  try {
    const group = libc.open_by_handle_at(root, handleOf(id), O_PATH | O_CLOEXEC);
    if (group < 0) return group === -ESTALE || group === -ENOENT ? null : undefined;
    try {
      return below(mount, readlinkSync(`/proc/self/fd/${group}`, { encoding: "buffer" }), id);
    } finally {
      libc.close(group);
    }
  } finally {
    closeSync(root);
  }
}

/** All groups below the mount, itself included; none where this host does not tell their ids. */
export function* allCgroups(): Iterable<{ id: bigint; path: Uint8Array }> {
  const { v2: mount } = cgroupHierarchies();
  if (mount === null) return;
  const left: Buffer[] = [mount];
  for (let group = left.pop(); group !== undefined; group = left.pop()) {
    const id = idOf(group);
    if (id === null) continue;
    const path = group.subarray(mount.length);
    yield { id, path: path.length === 0 ? ROOT : path };
    for (const name of groupsIn(group)) left.push(Buffer.concat([group, ROOT, name]));
  }
}

/** The id of the group at this path below the mount; `null`: it is not there, or this host does not tell. */
export function cgroupIdAt(path: Uint8Array): bigint | null {
  const { v2 } = cgroupHierarchies();
  return v2 === null ? null : idOf(Buffer.concat([v2, path]));
}

// --- internal ---

function openOrNull(directory: Buffer): number | null {
  try {
    return openSync(directory, "r");
  } catch {
    return null;
  }
}

/** struct file_handle: u32 size, i32 type, then the handle. The kernel's cgroupfs takes this type in all versions. */
const FILEID_INO32_GEN = 1;
const HANDLE_AT = 8;
const ID_SIZE = 8;

function handleOf(id: bigint): Uint8Array {
  const handle = new Uint8Array(HANDLE_AT + ID_SIZE);
  const view = new DataView(handle.buffer);
  view.setUint32(0, ID_SIZE, true);
  view.setInt32(4, FILEID_INO32_GEN, true);
  view.setBigUint64(HANDLE_AT, id, true);
  return handle;
}

/**
 * A group outside of the tool's cgroup namespace has a path that means nothing here, and one that was just removed a mark
 * behind its name: what a path leads to must be the group it was made from.
 */
function below(mount: Buffer, path: Uint8Array, id: bigint): Uint8Array | null {
  if (idOf(path) !== id) return null;
  if (Buffer.compare(path.subarray(0, mount.length), mount) !== 0) return null;
  const rest = path.subarray(mount.length);
  if (rest.length === 0) return ROOT;
  return rest[0] === ROOT[0] ? rest : null;
}

const ROOT = Buffer.from("/");

/** Names of the groups right below; none of one that has just gone. */
function groupsIn(group: Buffer): Buffer[] {
  try {
    const entries = readdirSync(group, { withFileTypes: true });
    const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    // Read as text, a name that is none is not the name any more.
    if (!names.some((name) => name.includes("\ufffd")))
      return names.map((name) => Buffer.from(name));
    const bytes = readdirSync(group, { encoding: "buffer" });
    return bytes.filter((name) => statSync(Buffer.concat([group, ROOT, name])).isDirectory());
  } catch {
    return [];
  }
}

function idOf(path: Uint8Array): bigint | null {
  const handle = handleOf(0n);
  if (libc.name_to_handle_at(path, handle) < 0) return null;
  return new DataView(handle.buffer).getBigUint64(HANDLE_AT, true);
}
