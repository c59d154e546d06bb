/** The manual page, from the same tables that are parsed. Plain man(7) macros, which every reader knows. Pure. */

import {
  aliasesOf,
  builtins,
  everyCommand,
  flagsOf,
  valueHintOf,
  type Command,
} from "./command.ts";
import { exitTexts, exitCodes } from "../errors.ts";
import type { Legend } from "../output/legend.ts";
import { argumentsOf, describe, usageOf } from "./help.ts";

export function manualPage(name: string, version: string, root: Command): string {
  const leaves = everyCommand(root).filter(({ command }) => command.run !== null);
  const lines = [
    `.TH ${roff(name.toUpperCase())} 8 "" "${roff(name)} ${roff(version)}" "System Administration"`,
    ".SH NAME",
    `${roff(name)} \\- ${roff(root.description)}`,
    ".SH SYNOPSIS",
    ...leaves.flatMap(({ words, command }, i) => [
      ...(i === 0 ? [] : [".br"]),
      `.B ${roff([name, ...words].join(" "))}`,
      roff(usageOf(command).trim()),
    ]),
    ".SH DESCRIPTION",
    ...paragraphs.flatMap((text) => [".PP", roff(text)]),
    ".SH COMMANDS",
    ...leaves.flatMap(({ words, command }) => commandSection([name, ...words].join(" "), command)),
    ".SH FLAGS OF EVERY COMMAND",
    ...builtins.flatMap(({ short, long, description }) =>
      item(`\\fB\\-${short}\\fR, \\fB\\-\\-${long}\\fR`, description),
    ),
    ".SH OUTPUT",
    ...legendsOf(leaves.map(({ command }) => command)).flatMap(({ title, rows }) => [
      `.SS ${roff(title.charAt(0).toUpperCase() + title.slice(1))}`,
      ...rows.flatMap(([term, meaning]) => item(`\\fB${roff(term)}\\fR`, meaning)),
    ]),
    ".SH EXIT STATUS",
    ...Object.entries(exitCodes).flatMap(([key, code]) =>
      item(`\\fB${code}\\fR`, exitTexts[key as keyof typeof exitCodes]),
    ),
    ".SH ENVIRONMENT",
    ...item(
      "\\fBNO_COLOR\\fR",
      "set to anything but nothing: no colors, unless --color says otherwise",
    ),
    ...item("\\fBTERM\\fR", "dumb: no colors, unless --color says otherwise"),
    ".SH EXAMPLES",
    ".EX",
    ...new Set(everyCommand(root).flatMap(({ command }) => command.examples.map(roff))),
    ".EE",
  ];
  return `${lines.join("\n")}\n`;
}

// --- internal ---

const paragraphs = [
  "Data goes to stdout, everything else to stderr. In tables - means that a number is not known, in JSON null; a number that is printed is right. What is lost is counted by cause and told.",
  "It must run as root or through sudo. Never give the file capabilities or the setuid bit: its runtime obeys the environment of whoever starts it.",
];

function commandSection(path: string, command: Command): string[] {
  return [
    `.SS "${roff(path)}${roff(usageOf(command))}"`,
    `${roff(sentence(command.description))}`,
    ...argumentsOf(command).flatMap(([word, def]) => item(`\\fI${roff(word)}\\fR`, describe(def))),
    ...flagsOf(command).flatMap(([flag, def]) => {
      const hint = valueHintOf(def);
      const value = def.type === "boolean" || hint === null ? "" : ` \\fI${roff(hint)}\\fR`;
      const names = [...aliasesOf(def).map((alias) => `-${alias}`), `--${flag}`];
      return item(
        `${names.map((spelt) => `\\fB${roff(spelt)}\\fR`).join(", ")}${value}`,
        describe(def),
      );
    }),
  ];
}

/** Each once, though several commands have it. */
export const legendsOf = (commands: readonly Command[]): Legend[] => [
  ...new Set(commands.flatMap(({ legends }) => legends)),
];

/** A term, which is roff already, and plain text. */
const item = (term: string, text: string): string[] => [".TP", term, roff(text)];

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** Backslashes and dashes as they are, and no line that reads as a request. */
function roff(text: string): string {
  const plain = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq");
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}
