import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dependenciesOf, indexModules } from "../vm/kernel_modules.ts";

test("modprobe's indices name all that a module needs, the nearest first, and every alias", () => {
  const place = mkdtempSync(join(tmpdir(), "tracer-bpf-modules-"));
  try {
    // Strings that end in a zero byte follow each other, as in the section .modinfo.
    const modules = {
      "nft_masq.ko": "alias=nft-expr-masq depends=nf-nat,nf_tables",
      "nf_nat.ko": "depends=nf_conntrack alias=ip_nat alias=nat-*",
      "nf_conntrack.ko": "depends=",
      "nf_tables.ko": "depends=nf_conntrack license=GPL",
      "unasked.ko": "alias=unasked depends=absent",
    };
    for (const [name, words] of Object.entries(modules))
      writeFileSync(join(place, name), `code\0${words.replaceAll(" ", "\0")}\0code`);
    const paths = Object.keys(modules).map((name) => join(place, name));
    const { dep, alias } = indexModules(
      dependenciesOf(paths, (path) => path.endsWith("nft_masq.ko")),
    );
    expect(dep).toContain("nft_masq.ko: nf_nat.ko nf_tables.ko nf_conntrack.ko\n");
    expect(alias).toBe("alias nft-expr-masq nft_masq\nalias ip_nat nf_nat\nalias nat-* nf_nat\n");
    expect(dep).not.toContain("unasked");
    expect(() => dependenciesOf(paths, () => true)).toThrow("unasked needs absent");
  } finally {
    rmSync(place, { recursive: true });
  }
});
