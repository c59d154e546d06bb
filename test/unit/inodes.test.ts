/** Inode numbers that are younger than a moment, against a kernel that gives them as the real one does. */
import { expect, test } from "bun:test";
import { fc } from "./drive/random.ts";
import { batchOf, inodesSoFar } from "../../src/kernel/inodes.ts";

/** get_next_ino: each CPU takes 1,024 at a time; 0 is left out. `start` is a multiple of 1,024. */
class Kernel {
  #shared: number;
  readonly #last: number[];

  readonly #asked: readonly number[];

  /** `asked`: the CPUs on which the tool may run. */
  constructor(cpus: number, start: number, asked: readonly number[]) {
    this.#shared = start;
    this.#asked = asked;
    this.#last = Array<number>(cpus).fill(0);
  }

  give(cpu: number): number {
    let ino = this.#last[cpu]!;
    if (ino % 1024 === 0) {
      ino = this.#shared;
      this.#shared = (this.#shared + 1024) >>> 0;
    }
    ino = (ino + 1) >>> 0 || 1;
    return (this.#last[cpu] = ino);
  }

  newestInodes(cpus: number): Uint32Array {
    return Uint32Array.from({ length: cpus }, (_, cpu) =>
      this.#asked.includes(cpu) ? this.give(cpu) : 0,
    );
  }

  giveInodes(cpu: number, count: number): number {
    for (let n = 1; n < count; n++) this.give(cpu);
    return this.give(cpu);
  }
}

const CPUS = 4;
const uses = fc.array(fc.tuple(fc.nat(CPUS - 1), fc.integer({ min: 1, max: 1500 })), {
  maxLength: 12,
});
const asked = fc.subarray([...Array(CPUS).keys()], { minLength: 1 });

/** As is_younger() of bpf/tcp/younger.h, without the numbers' beginning anew. */
const isYounger = (
  ino: number,
  { newest, firstBatch }: NonNullable<ReturnType<typeof inodesSoFar>>,
) => batchOf(ino) >= firstBatch || ino > (newest.get(batchOf(ino)) ?? Infinity);

test("no number that was given before is younger; each that a CPU gives later is, if the CPU was asked", () => {
  fc.assert(
    fc.property(uses, uses, asked, (before, after, cpus) => {
      const kernel = new Kernel(CPUS, 1024 * 7, cpus);
      const given = before.flatMap(([cpu, count]) =>
        Array.from({ length: count }, () => kernel.give(cpu)),
      );
      const soFar = inodesSoFar(CPUS, kernel)!;
      expect(given.filter((ino) => isYounger(ino, soFar))).toEqual([]);
      for (const [cpu, count] of after)
        for (let n = 0; n < count; n++) {
          const ino = kernel.give(cpu);
          if (cpus.includes(cpu)) expect(isYounger(ino, soFar)).toBe(true);
        }
    }),
  );
});

test("a batch of which others take the rest meanwhile is not the first that is new", () => {
  const kernel = new Kernel(1, 1024 * 7, [0]);
  const soFar = inodesSoFar(1, {
    newestInodes: (cpus) => kernel.newestInodes(cpus),
    giveInodes(cpu, count) {
      kernel.giveInodes(cpu, 700);
      return kernel.giveInodes(cpu, count);
    },
  })!;
  expect(soFar.firstBatch).toBeGreaterThan(batchOf([...soFar.newest.values()][0]!));
});

test("where no CPU can be asked nothing is known", () => {
  expect(inodesSoFar(3, new Kernel(3, 1024, []))).toBeNull();
});

test("the last number of a batch belongs to it, and the numbers begin anew after 32 bits", () => {
  expect([1, 1024, 1025, 0xffff_ffff, 0].map(batchOf)).toEqual([0, 0, 1, 0x3f_ffff, 0x3f_ffff]);
});
