/**
 * The page of a report: one HTML file that needs nothing else. Its policy allows one script and one style, those of this
 * folder, and no connection to anywhere. Pure.
 */
import type { TableData } from "./columns.ts";
import { element, Markup, scriptJson, type Child } from "./markup.ts";
import script from "./page.js" with { type: "text" };
import style from "./page.css" with { type: "text" };

export interface Page {
  title: string;
  /** Lines below the title. */
  facts: readonly string[];
  /** Lines that say what is missing. */
  warnings: readonly string[];
  pictures: readonly { title: string; note: string; svg: Markup }[];
  tables: readonly TableData[];
}

/** `sha256` gives the hash in base64. */
export function pageHtml(page: Page, sha256: (text: string) => string): string {
  const { title, facts, warnings, pictures, tables } = page;
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${sha256(script)}'`,
    `style-src 'sha256-${sha256(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const head: Child[] = [
    new Markup('<meta charset="utf-8">'),
    // Before everything that it is about.
    new Markup(`<meta http-equiv="Content-Security-Policy" content="${policy}">`),
    new Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
    new Markup('<meta name="color-scheme" content="light dark">'),
    element("title", {}, title),
    element("style", {}, new Markup(style)),
  ];
  const body: Child[] = [
    element(
      "header",
      {},
      element("h1", {}, title),
      facts.map((fact) => element("p", {}, fact)),
      warnings.map((warning) => element("p", { class: "warning" }, warning)),
      new Markup(SEARCH),
    ),
    element(
      "noscript",
      {},
      element("p", {}, "The tables need JavaScript; it is part of this file."),
    ),
    pictures.map(({ title: name, note, svg }) =>
      element("section", {}, element("h2", {}, name), element("p", { class: "note" }, note), svg),
    ),
    element("main", { id: "tables" }),
    element("script", { type: "application/json", id: "data" }, new Markup(scriptJson(tables))),
    element("script", {}, new Markup(script)),
  ];
  const parts = [element("head", {}, head), element("body", {}, body)];
  return `<!doctype html>\n${element("html", { lang: "en" }, parts).html}\n`;
}

// --- internal ---

const SEARCH =
  '<label>Search <input id="search" type="search" spellcheck="false" autocomplete="off" placeholder="curl 443 !udp">' +
  '</label> <span id="hint">every word must be in a row; with ! in front it must not; a click on a process or a service searches for it</span>';
