/** The list of parts for programs: what CycloneDX 1.5 demands, and that it lists what the notice lists. */
import { expect, test } from "bun:test";
import type { Part } from "../../src/build/licenses.ts";
import { sbom } from "../../src/build/sbom.ts";

const part = (name: string, more: Partial<Part> = {}): Part => ({
  name,
  version: "1.2",
  license: "MIT",
  remark: null,
  texts: {},
  ...more,
});
const parts: [Part, ...Part[]] = [
  part("program", { version: "0.1.0", license: "Apache-2.0" }),
  part("without a version", { version: "", license: "GPL-2.0-only OR BSD-2-Clause" }),
  part("runtime", {
    purl: "pkg:npm/runtime@1.2",
    remark: "a remark",
    inside: [part("inner", { license: "several, named in its LICENSE" })],
  }),
];
const subject = { file: "program-linux-x64", sha256: "ab".repeat(32), epoch: 1_700_000_000 };

test("the program is the subject, with the hash of the very executable", () => {
  const { bomFormat, specVersion, version, metadata } = JSON.parse(sbom(parts, subject));
  expect({ bomFormat, specVersion, version }).toEqual({
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
  });
  expect(metadata).toEqual({
    timestamp: "2023-11-14T22:13:20.000Z",
    component: {
      type: "application",
      "bom-ref": "program@0.1.0",
      name: "program",
      version: "0.1.0",
      licenses: [{ expression: "Apache-2.0" }],
      hashes: [{ alg: "SHA-256", content: subject.sha256 }],
      properties: [{ name: "file", value: "program-linux-x64" }],
    },
  });
});

test("each other part is a component, and parts of a part are inside of it", () => {
  expect(JSON.parse(sbom(parts, subject)).components).toEqual([
    {
      type: "library",
      "bom-ref": "without a version",
      name: "without a version",
      licenses: [{ expression: "GPL-2.0-only OR BSD-2-Clause" }],
    },
    {
      type: "library",
      "bom-ref": "runtime@1.2",
      name: "runtime",
      version: "1.2",
      description: "a remark",
      licenses: [{ expression: "MIT" }],
      purl: "pkg:npm/runtime@1.2",
      components: [
        {
          type: "library",
          "bom-ref": "inner@1.2",
          name: "inner",
          version: "1.2",
          // Words are no SPDX expression.
          licenses: [{ license: { name: "several, named in its LICENSE" } }],
        },
      ],
    },
  ]);
});

test("the same parts give the same bytes", () => {
  expect(sbom(parts, subject)).toBe(sbom(structuredClone(parts), { ...subject }));
});
