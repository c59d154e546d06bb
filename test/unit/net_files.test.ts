/** Files of /proc/net as kernels show them after setns(2); a table of inode numbers stands for the kernel. */
import { expect, test } from "bun:test";
import { NetFiles, type PathOf } from "../../src/kernel/net_files.ts";
import { ownThread } from "../../src/kernel/own_thread.ts";

const [HERE, THERE, ELSEWHERE] = [4026531992, 4026532126, 4026532200];

/** Each namespace is entered in turn; the kernel gives these inodes for sockstat, and none for tcp6. */
function visited(inodes: readonly [number, number][], tid: number | null = 4711) {
  let stayers = 0;
  let disposed = 0;
  let inode: number | null = null;
  const files = new NetFiles(
    {
      stay() {
        stayers++;
        return tid === null ? null : { tid, [Symbol.dispose]: () => void disposed++ };
      },
    },
    (path) => (path.endsWith("/tcp6") ? null : inode),
  );
  const paths = inodes.map(([netns, ino]) => {
    inode = ino;
    return files.within(netns, (pathOf: PathOf) => [
      pathOf("sockstat"),
      pathOf("sockstat"),
      pathOf("tcp6"),
    ]);
  });
  return { paths, stayers, disposed };
}

const own = `${ownThread()}/net/sockstat`;

test("a file with an inode of its own is the namespace's: the calling thread's directory leads to it", () => {
  const { paths, stayers } = visited([
    [HERE, 4026532007],
    [THERE, 4026532135],
    [HERE, 4026532007],
  ]);
  expect(paths).toEqual([
    [own, own, null],
    [own, own, null],
    [own, own, null],
  ]);
  expect(stayers).toBe(0);
});

test("a file that another namespace has shown is not this one's: a thread that was started here leads to it", () => {
  const { paths, stayers, disposed } = visited([
    [HERE, 4026532007],
    [THERE, 4026532007],
    [ELSEWHERE, 4026532007],
  ]);
  const fresh = "/proc/self/task/4711/net/sockstat";
  expect(paths).toEqual([
    [own, own, null],
    [fresh, fresh, null],
    [fresh, fresh, null],
  ]);
  expect([stayers, disposed]).toEqual([2, 2]);
});

test("where no thread can be started, the namespace is given up, and not taken for another", () => {
  const places: [number, number][] = [
    [HERE, 4026532007],
    [THERE, 4026532007],
  ];
  expect(visited(places, null).paths).toEqual([[own, own, null], null]);
});
