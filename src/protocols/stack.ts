/** The protocols of a connection by layer. Pure. */
import type { Api, ApplicationProtocol, Encryption } from "./table.ts";

/** `null`: not known, or there is none. `encryption` carries `application`, which carries `api`. */
export interface Application {
  api: Api | null;
  application: ApplicationProtocol | null;
  encryption: Encryption | null;
}

/** Equal stacks are one object, so that events can be compared without a look inside. */
export function stackOf(
  api: Api | null,
  application: ApplicationProtocol | null,
  encryption: Encryption | null,
): Application {
  const key = `${api} ${application} ${encryption}`;
  const known = stacks.get(key);
  if (known !== undefined) return known;
  const made = Object.freeze({ api, application, encryption });
  stacks.set(key, made);
  return made;
}

/** The highest protocol that is known. */
export const highestOf = ({ api, application, encryption }: Application) =>
  api ?? application ?? encryption;

// --- internal ---

/** No more than there are combinations of names. */
const stacks = new Map<string, Application>();
