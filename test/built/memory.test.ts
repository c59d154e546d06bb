/** The start in a small memory cgroup: killed or refused before, it asks for less and says so. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { executableOf, HOST } from "../../src/build/arch.ts";

const executable = resolve(executableOf(HOST));
const V1 = "/sys/fs/cgroup/memory";
const group = `${V1}/tracer-bpf-test-${process.pid}`;

afterEach(() => {
  if (existsSync(group)) rmdirSync(group);
});

// A host with version 2 alone has no such file; what is asked for there is the same, by another file's name.
test.skipIf(!existsSync(`${V1}/memory.limit_in_bytes`)).each([56, 64, 80, 96])(
  "with %d MiB it traces, follows fewer connections, and says so",
  (mib) => {
    mkdirSync(group);
    writeFileSync(`${group}/memory.limit_in_bytes`, String(mib << 20));
    const script = `echo $$ > ${group}/cgroup.procs; exec ${executable} trace -d 0.3s`;
    const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", script], { stderr: "pipe" });
    const text = stderr.toString();
    expect(text).toMatch(
      new RegExp(
        `warning: at most [0-9,]+ connections are followed.*: the memory cgroup has only ${mib} MiB`,
      ),
    );
    expect(text).toContain("tracing TCP");
    expect(exitCode).toBe(0);
  },
);
