/** The list of an executable's parts for programs: CycloneDX 1.5 in JSON. The notice for people comes from the same list. */
import type { Part } from "./licenses.ts";

/** The executable that the list is of. */
export interface Subject {
  /** Its name in the release. */
  file: string;
  sha256: string;
  /** Seconds since 1970. */
  epoch: number;
}

/** `parts`: the first one is the program itself. The same parts and executable give the same bytes. */
export function sbom(
  [program, ...others]: readonly [Part, ...Part[]],
  { file, sha256, epoch }: Subject,
): string {
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        ...component(program),
        type: "application",
        hashes: [{ alg: "SHA-256", content: sha256 }],
        properties: [{ name: "file", value: file }],
      },
    },
    components: others.map(component),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

// --- internal ---

interface Component {
  type: string;
  "bom-ref": string;
  name: string;
  version?: string;
  description?: string;
  licenses: readonly ({ expression: string } | { license: { name: string } })[];
  purl?: string;
  components?: readonly Component[];
}

function component(part: Part): Component {
  const { name, version, license, remark, purl, inside } = part;
  return {
    type: "library",
    "bom-ref": version === "" ? name : `${name}@${version}`,
    name,
    ...(version === "" ? {} : { version }),
    ...(remark === null ? {} : { description: remark }),
    licenses: [SPDX.test(license) ? { expression: license } : { license: { name: license } }],
    ...(purl === undefined ? {} : { purl }),
    ...(inside === undefined ? {} : { components: inside.map(component) }),
  };
}

const SPDX = /^[\w.+-]+( (OR|AND|WITH) [\w.+-]+)*$/;
