/** As much of a browser's document as the script of a report uses, so that the script runs without a browser. */

type Listener = () => void;

export class FakeElement {
  readonly name: string;
  readonly children: FakeElement[] = [];
  readonly dataset: Record<string, string> = {};
  readonly attributes = new Map<string, string>();
  readonly #listeners: [event: string, listener: Listener][] = [];
  textContent = "";
  className = "";
  value = "";
  hidden = false;
  disabled = false;

  constructor(name: string) {
    this.name = name;
  }

  append(...children: FakeElement[]): void {
    this.children.push(...children);
  }

  replaceChildren(...children: FakeElement[]): void {
    this.children.splice(0, Infinity, ...children);
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }

  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }

  addEventListener(event: string, listener: Listener): void {
    this.#listeners.push([event, listener]);
  }

  /** As if a user did it. */
  happens(event: string): void {
    for (const [name, listener] of this.#listeners) if (name === event) listener();
  }

  /** All elements of this name below this one. */
  querySelectorAll(name: string): FakeElement[] {
    return this.children.flatMap((child) => [
      ...(child.name === name ? [child] : []),
      ...child.querySelectorAll(name),
    ]);
  }
}

/** `data` is the text of the page's data; `clickable`: the elements of its pictures that search. */
export function runPage(script: string, data: string, clickable: FakeElement[] = []) {
  const named = new Map(["data", "search", "tables"].map((id) => [id, new FakeElement(id)]));
  named.get("data")!.textContent = data;
  const document = {
    documentElement: new FakeElement("html"),
    getElementById: (id: string) => named.get(id),
    createElement: (name: string) => new FakeElement(name),
    querySelectorAll: () => clickable,
  };
  // Nothing is typed while it waits.
  const soon = (run: Listener) => run();
  // oxlint-disable-next-line typescript/no-implied-eval -- the text is a file of the sources
  const call = new Function("document", "setTimeout", "clearTimeout", script);
  call(document, soon, () => {});
  return { search: named.get("search")!, tables: named.get("tables")! };
}
