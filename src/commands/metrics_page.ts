/** The tables of docs/fleet.md, from those that are counted by. Markdown. Pure. */
import { labelNames, labels } from "../metrics/labels.ts";
import { metricNames, metricOf, PREFIX } from "../metrics/table.ts";
import { code, plain, table } from "./markdown.ts";

export const metricsTable = (): string =>
  `${table(
    ["metric", "type", "labels", "meaning"],
    metricNames.map((name) => {
      const { type, of = [], also = [], help } = metricOf(name);
      return [code(PREFIX + name), type, [...of, ...also].map(code).join(", "), plain(help)];
    }),
  )}\n`;

export const labelsTable = (): string =>
  `${table(
    ["label", "meaning", "unless chosen"],
    labelNames.map((name) => {
      const { meaning, usual } = labels[name];
      return [code(name), plain(meaning), usual ? "there" : "not there"];
    }),
  )}\n`;
