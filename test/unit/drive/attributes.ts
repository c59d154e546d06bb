/** Values for every attribute, so that a new attribute is tested wherever the others are. */
import { attributeNames, type AttributeName } from "../../../src/members/attributes.ts";

/** The same generator, or the same value, for each. */
export const allAttributes = <T>(of: T): Record<AttributeName, T> =>
  Object.fromEntries(attributeNames.map((name) => [name, of])) as Record<AttributeName, T>;
