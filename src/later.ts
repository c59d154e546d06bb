/**
 * Modules of the runtime that a trace needs late or never, each loaded when it is first used. An import of one would load it at the
 * start of each command, wherever it stands: all of these together for 7 ms.
 */

export const promises = () => process.getBuiltinModule("node:fs/promises");
export const stream = () => process.getBuiltinModule("node:stream");

/** 4, 6, or 0 for what is no address. */
export const ipVersion = (text: string): number => process.getBuiltinModule("node:net").isIP(text);
