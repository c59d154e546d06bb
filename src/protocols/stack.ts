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
  numbered.push(made);
  return made;
}

/** From 1 on, the same for equal stacks while the tool runs; 0: it has none that fits into a byte. */
export function numberOf(of: Application): number {
  const number = numbered.indexOf(of) + 1;
  return number < 256 ? number : 0;
}

/** `null`: of 0. */
export const stackAt = (number: number): Application | null => numbered[number - 1] ?? null;

/** The layers in which all are alike; `null`: there is none, or one of them is not known. */
export function commonOf(all: readonly (Application | null)[]): Application | null {
  const [first] = all;
  if (!first) return null;
  const inAll = <L extends keyof Application>(layer: L) =>
    all.every((one) => one !== null && one[layer] === first[layer]) ? first[layer] : null;
  const common = stackOf(inAll("api"), inAll("application"), inAll("encryption"));
  return all.every((one) => one !== null) && highestOf(common) !== null ? common : null;
}

/** The highest protocol that is known. */
export const highestOf = ({ api, application, encryption }: Application) =>
  api ?? application ?? encryption;

// --- internal ---

/** No more than there are combinations of names. */
const stacks = new Map<string, Application>();
/** The same, in the order in which they were made. */
const numbered: Application[] = [];
