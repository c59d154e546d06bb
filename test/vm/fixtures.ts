// bun run fixtures [KERNEL...]: records what the guess sees on a kernel, and what the kernel's BTF says is right,
// for test/unit/guess.test.ts. Without names: every kernel of the lab.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { VerifyRow } from "../../src/guess/report.ts";
import { decodeSnapshot } from "../../src/guess/snapshot.ts";
import { solve } from "../../src/guess/solve.ts";
import { matrix } from "./kernels.ts";
import { runInGuest } from "./lab.ts";

const directory = join(import.meta.dir, "../fixtures/guess");

// Between lines of their own, because the console carries other text too.
const record = [
  "/tracer-bpf offsets snapshot --attach kprobe --save /tmp/snapshot",
  "echo ==snapshot; base64 /tmp/snapshot; echo ==end",
  "echo ==btf; /tracer-bpf offsets verify --attach kprobe --json; echo ==end",
].join("; ");

mkdirSync(directory, { recursive: true });
const names = process.argv.length > 2 ? process.argv.slice(2) : matrix.map(({ name }) => name);
for (const kernel of names) {
  const sections = new Map<string, string[]>();
  let section: string[] = [];
  const outcome = await runInGuest({
    kernel,
    shell: record,
    onLine(line) {
      const [, name] = /^==(\w+)/.exec(line) ?? [];
      if (name === undefined) section.push(line);
      else sections.set(name, (section = []));
    },
  });
  if (outcome.state === "absent" || !sections.has("btf")) {
    console.error(
      `${kernel}: not recorded (${outcome.remarks.join("; ") || "the guest ended early"})`,
    );
    continue;
  }
  const text = (name: string) => (sections.get(name) ?? []).join("\n");
  const snapshot = Buffer.from(text("snapshot"), "base64");
  const { fields } = JSON.parse(text("btf")) as { fields: VerifyRow[] };
  // Fields of tasks and of conntrack are found in other ways, of which a snapshot shows nothing.
  const searched = new Set(solve(decodeSnapshot(snapshot)).map(({ field }) => field));
  const btf = Object.fromEntries(
    fields.filter(({ field }) => searched.has(field)).map(({ field, btf }) => [field, btf]),
  );
  writeFileSync(join(directory, `${kernel}.snapshot.gz`), snapshot);
  writeFileSync(join(directory, `${kernel}.btf.json`), `${JSON.stringify(btf, null, 1)}\n`);
  const wrong = fields.filter((row) => !row.equal).map((row) => row.field);
  console.error(`${kernel}: ${snapshot.length} bytes, ${wrong.join(", ") || "all equal to BTF"}`);
}
