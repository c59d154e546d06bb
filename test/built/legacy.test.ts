/**
 * No kernel before 5.10 is in the VM lab. So the kprobe programs are held against the rules of the
 * oldest one they are for. Later verifiers follow more, within higher limits; that they refuse
 * something that 4.4 takes is not looked for here.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { HOST, type Arch } from "../../src/build/arch.ts";
import { objectFileWithLines, OLDEST } from "../../src/build/native.ts";
import { readKprobePrograms, type Program } from "./bpf_object.ts";
import { RULES, verify, type Rule, type Verdict } from "./verifier.ts";

/** Bytes of registers that a program may see; arm64 keeps more behind them, which are none of its business. */
const CONTEXT_SIZE: Record<Arch, number> = { x64: 168, arm64: 272 };

const rules = Object.entries(RULES) as [Rule, string][];

for (const arch of new Set<Arch>([HOST, "arm64"]))
  describe(`on Linux 4.4, ${arch}`, () => {
    const verdicts: { program: Program; verdict: Verdict }[] = [];

    beforeAll(() => {
      for (const name of OLDEST)
        for (const program of readKprobePrograms(built(objectFileWithLines(arch, name))))
          verdicts.push({ program, verdict: verify(program, CONTEXT_SIZE[arch]) });
    });

    test("every kprobe program of the sources is among the checked ones", () => {
      // Programs behind that line are for newer kernels.
      const sources = OLDEST.map(
        (name) => readFileSync(`bpf/${name}.bpf.c`, "utf8").split("\n#ifdef LINUX_5_10\n")[0]!,
      ).join("\n");
      const declared = sources.matchAll(/^SEC\("k(?:ret)?probe\/.*\nint (\w+)\(/gm);
      expect(verdicts.map(({ program }) => program.name).toSorted()).toEqual(
        Array.from(declared, ([, name]) => name!).toSorted(),
      );
    });

    for (const [rule, sentence] of rules)
      test(`the kprobe programs ${sentence}`, () => {
        const problems = verdicts.flatMap(({ verdict }) => verdict.problems);
        expect(problems.filter((p) => p.rule === rule).map((p) => p.text)).toEqual([]);
      });

    test("every path of every program was followed to its end", () => {
      const figures = verdicts.map(({ program, verdict }) => ({
        program: program.name,
        instructions: program.slots.length,
        steps: verdict.steps,
      }));
      console.table(figures);
      expect(figures.filter(({ steps }) => steps === null)).toEqual([]);
    });
  });

function built(file: string): Buffer {
  if (!existsSync(file)) throw new Error(`${file} is not built: run "bun build.ts --arm64"`);
  return readFileSync(file);
}
