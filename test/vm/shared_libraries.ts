// Shared libraries of Debian's packages, for the programs of these packages.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Entry, file } from "./cpio.ts";

/** All that lie in the two directories where packages keep them, in the one where the guest's loader looks. */
export const sharedLibraries = (userland: string, libraries: string): Entry[] =>
  [libraries, `usr/${libraries}`].flatMap((place) =>
    filesIn(userland, place)
      .filter((name) => /\.so(\.|$)/.test(name))
      .map((name) => file(`${libraries}/${name}`, readFileSync(join(userland, place, name)))),
  );

export function filesIn(top: string, place: string): string[] {
  const path = join(top, place);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);
}
