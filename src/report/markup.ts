/** HTML and SVG as text, in which no text from outside can become markup. The only place of the report that writes any. Pure. */
import { escapeText } from "../output/escape.ts";

/** A piece of finished markup: nothing else is written as it is. */
export class Markup {
  readonly html: string;

  constructor(html: string) {
    this.html = html;
  }
}

export type Child = Markup | string | readonly Child[];

/** A text becomes text, with what is unsafe made visible; `undefined` leaves an attribute out. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...children: readonly Child[]
): Markup {
  const written = Object.entries(attributes).map(([key, value]) =>
    value === undefined ? "" : ` ${key}="${escaped(`${value}`)}"`,
  );
  return new Markup(`<${name}${written.join("")}>${children.map(htmlOf).join("")}</${name}>`);
}

/**
 * A value as the text of a script element of the type application/json. No `<` is left, so that neither `</script` nor
 * `<!--` can be in it.
 */
export const scriptJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

// --- internal ---

function htmlOf(child: Child): string {
  if (child instanceof Markup) return child.html;
  return typeof child === "string" ? escaped(child) : child.map(htmlOf).join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (text: string): string =>
  escapeText(text).replace(/[&<>"']/g, (char) => entities[char]!);
