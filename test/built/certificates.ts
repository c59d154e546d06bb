/** Certificates of an authority that nobody else knows, by openssl. */
import { join } from "node:path";

export const canCertify = Bun.which("openssl") !== null;

/** Paths of files in the form PEM. */
export interface Certified {
  cert: string;
  key: string;
}

const NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc".split(" ");

/** The authority's own. */
export const authorityIn = (directory: string): Certified =>
  request(join(directory, "authority"), ["-addext", "basicConstraints=critical,CA:TRUE"]);

/** For a server at 127.0.0.1, or for a client. */
export const certifiedBy = (authority: Certified, path: string): Certified =>
  request(path, [
    ...["-CA", authority.cert, "-CAkey", authority.key],
    ...["-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"],
  ]);

function request(path: string, more: string[]): Certified {
  const made = { cert: `${path}.pem`, key: `${path}.key` };
  const { exitCode, stderr } = Bun.spawnSync(
    [
      ...["openssl", "req", "-x509", "-days", "2", "-subj", `/CN=${path.split("/").at(-1)}`],
      ...[...NEW_KEY, "-out", made.cert, "-keyout", made.key, ...more],
    ],
    { stderr: "pipe" },
  );
  if (exitCode !== 0) throw new Error(`openssl: ${stderr.toString()}`);
  return made;
}
