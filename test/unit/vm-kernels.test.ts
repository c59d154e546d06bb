import { describe, expect, test } from "bun:test";
import {
  kernelCandidates,
  kernelNameText,
  matrix,
  newerSeries,
  parseKernelName,
  parseKernelPackages,
} from "../vm/kernels.ts";
import { compareVersions } from "../vm/version.ts";

// Stanzas as the archive had them in November 2026, shortened to the fields that are read and some
// that are not.
const index = [
  ["linux-image-5.10.0-46-cloud-amd64", "5.10.262-1", "amd64", 21521796],
  ["linux-image-6.1.0-56-amd64", "6.1.192-2", "amd64", 70550672],
  ["linux-image-6.1.0-56-amd64-unsigned", "6.1.192-2", "amd64", 70550000],
  ["linux-image-6.1.0-9-amd64", "6.1.99-1", "amd64", 69000000],
  ["linux-image-6.1.0-56-cloud-arm64", "6.1.192-2", "arm64", 21347940],
  // A metapackage, debugging symbols, another page size, a template: none of them boots.
  ["linux-image-6.12-cloud-amd64", "6.12.117-1~deb12u1", "amd64", 1512],
  ["linux-image-6.12.117+deb13-cloud-amd64-dbg", "6.12.117-1", "amd64", 934343434],
  ["linux-image-6.12.117+deb12-arm64-16k", "6.12.117-1~deb12u1", "arm64", 90000000],
  ["linux-image-6.12-amd64-signed-template", "6.12.117-1", "amd64", 9000000],
  ["linux-image-6.12.117+deb12-cloud-amd64", "6.12.117-1~deb12u1", "amd64", 34307256],
  ["linux-image-6.12.117+deb13-cloud-amd64", "6.12.117-1", "amd64", 34671208],
  ["linux-image-6.12.117+deb13-rt-amd64", "6.12.117-1", "amd64", 108555600],
  ["linux-image-6.19.14+deb13-cloud-amd64", "6.19.14-1~bpo13+1", "amd64", 2072],
  ["linux-binary-6.19.14+deb13-cloud-amd64", "6.19.14-1~bpo13+1", "amd64", 13030208],
  ["linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", "amd64", 13604064],
  ["linux-modules-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", "amd64", 21397624],
  ["linux-modules-7.3.4+deb13-cloud-amd64", "7.3.4-1~exp1", "amd64", 21397000],
  ["linux-binary-7.3-cloud-arm64", "7.3~rc7-1~exp1", "arm64", 10522952],
  ["linux-binary-7.4-cloud-amd64", "7.4~rc1-1~exp1", "amd64", 13904064],
]
  .map(
    ([name, version, arch, size]) => `Package: ${name}
Version: ${version}
Installed-Size: 1
Architecture: ${arch}
Depends: kmod, linux-base (>= 4.3~),
 initramfs-tools (>= 0.120+deb8u2)
Filename: pool/main/l/linux/${name}_${version}_${arch}.deb
Size: ${size}
SHA256: 0b1c
`,
  )
  .join("\n");

const packages = parseKernelPackages(index, "http://mirror.example/debian");

const newest = (name: string) => kernelCandidates(packages, parseKernelName(name)!)[0];

describe("the modules of a kernel", () => {
  test("come in a package of their own, of the same release and version", () => {
    const { url } = newest("7.3")!.modules!;
    expect(url).toEndWith("/linux-modules-7.3.4+deb13-cloud-amd64_7.3.4-1~bpo13+1_amd64.deb");
  });

  test("or in the kernel's package, which then names no other", () => {
    expect(newest("6.12")!.modules).toBeUndefined();
  });
});

describe("choosing a kernel", () => {
  test("every name of the matrix is understood and written back the same", () => {
    for (const { name } of matrix) expect(kernelNameText(parseKernelName(name)!)).toBe(name);
    expect(matrix.length).toBeGreaterThan(15);
  });

  test.each(["", "6", "6.12-", "6.12-rt-mips", "latest", "6.12.1", "../6.1"])(
    "%p is no kernel's name",
    (text) => {
      expect(parseKernelName(text)).toBeUndefined();
    },
  );

  test("only packages that hold a kernel of the lab's flavours are seen", () => {
    const names = packages.map((found) => found.package);
    expect(names).toHaveLength(12);
    expect(names.filter((name) => /dbg|16k|template|linux-image-6.19/.test(name))).toEqual([]);
  });

  test("a package says its release, its address and its hash", () => {
    expect(newest("6.12-rt")).toEqual({
      package: "linux-image-6.12.117+deb13-rt-amd64",
      version: "6.12.117-1",
      arch: "amd64",
      series: "6.12",
      flavour: "rt",
      release: "6.12.117+deb13-rt-amd64",
      url: "http://mirror.example/debian/pool/main/l/linux/linux-image-6.12.117+deb13-rt-amd64_6.12.117-1_amd64.deb",
      sha256: "0b1c",
      bytes: 108555600,
    });
  });

  test("the newest ABI of a series is taken, and the signed package of two equals", () => {
    const names = kernelCandidates(packages, parseKernelName("6.1-generic")!).map((p) => p.package);
    expect(names).toEqual([
      "linux-image-6.1.0-56-amd64",
      "linux-image-6.1.0-56-amd64-unsigned",
      "linux-image-6.1.0-9-amd64",
    ]);
  });

  test("of the same kernel in two releases the one that is no backport is taken", () => {
    expect(newest("6.12")?.release).toBe("6.12.117+deb13-cloud-amd64");
  });

  test("6.1 is not 6.12 or 6.19", () => {
    expect(newest("6.1-arm64")?.release).toBe("6.1.0-56-cloud-arm64");
    expect(newest("6.1")).toBeUndefined();
  });

  test("from 6.19 on the kernel comes from linux-binary", () => {
    expect(newest("6.19")?.package).toBe("linux-binary-6.19.14+deb13-cloud-amd64");
  });

  test("newest is a release even where a candidate is newer, and all candidates are its series", () => {
    const found = kernelCandidates(packages, parseKernelName("newest")!);
    expect(found.map((p) => p.release)).toEqual(["7.3.4+deb13-cloud-amd64"]);
  });

  test("a candidate stands in where nothing was released", () => {
    expect(newest("7.3-arm64")?.version).toBe("7.3~rc7-1~exp1");
  });

  test("a series that the archive lost has no kernel", () => {
    expect(newest("6.17")).toBeUndefined();
  });

  test("a series newer than the matrix joins it", () => {
    expect(newerSeries(packages)).toEqual(["7.4"]);
  });
});

describe("Debian's order of versions", () => {
  test.each([
    ["6.1.99-1", "6.1.192-2"],
    ["7.3~rc7-1~exp1", "7.3-1"],
    ["7.3~rc7-1", "7.3.4-1~bpo13+1"],
    ["6.12.117-1~deb12u1", "6.12.117-1"],
    ["6.12.90-1", "6.12.90-1.1"],
    ["9.9-1", "1:1.0-1"],
    ["1.0~~", "1.0~"],
    ["1.0a", "1.0+"],
    ["1.0-1", "1.0-1+b1"],
    ["5.10.9-1", "5.10.10-1"],
  ])("%s is older than %s", (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0);
    expect(compareVersions(newer, older)).toBeGreaterThan(0);
    expect(compareVersions(newer, newer)).toBe(0);
  });
});
