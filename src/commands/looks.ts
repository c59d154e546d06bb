/** Flags for what a trace can do without, and the filters that need it. */
import { UsageError } from "../errors.ts";
import type { Filter } from "../filter/filter.ts";
import { asksForNat, asksForProtocols, tellsProtocol } from "./filter_flags.ts";

export const lookFlags = {
  "no-nat": {
    type: "boolean",
    alias: "n",
    description:
      "do not look for address translation (NAT): its probe costs a little for each new entry of conntrack",
  },
  "no-protocols": {
    type: "boolean",
    alias: "a",
    description:
      "do not look for the protocols that connections speak: no payload leaves the kernel",
  },
} as const;

type LookFlag = keyof typeof lookFlags;

/** To add one, add a row: without what the flag leaves out nothing is known of what the filter asks for. */
const exclusions: readonly {
  flag: LookFlag;
  asks: (filter: Filter) => boolean;
  other: string;
  why: string;
}[] = [
  {
    flag: "no-nat",
    asks: asksForNat,
    other: "filters of translated ends",
    why: "without it no translation is known, and nothing would be shown",
  },
  {
    flag: "no-protocols",
    asks: tellsProtocol,
    other: "--events protocol",
    why: "without it no protocol is known",
  },
  {
    flag: "no-protocols",
    asks: asksForProtocols,
    other: "--app or --sni",
    why: "without it no protocol is known, and nothing would be shown",
  },
];

/** As `openTrace` takes them. */
export function looksOf(
  args: { readonly [flag in LookFlag]?: boolean | undefined },
  filter: Filter,
  command: string,
): { nat: boolean; protocols: boolean } {
  for (const { flag, asks, other, why } of exclusions)
    if (args[flag] === true && asks(filter))
      throw new UsageError(`--${flag} and ${other} exclude each other`, {
        command,
        why,
        suggestion: `leave out --${flag}`,
      });
  return { nat: args["no-nat"] !== true, protocols: args["no-protocols"] !== true };
}
