/** The page of `tracer-bpf report`: what it shows, and that nothing from outside becomes markup. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { utc } from "../../src/conn/clock.ts";
import type { ConnEvent } from "../../src/conn/event.ts";
import { Bins } from "../../src/report/bins.ts";
import { pageOf } from "../../src/report/contents.ts";
import { BEGAN, Gathering } from "../../src/report/gather.ts";
import { pageHtml } from "../../src/report/html.ts";
import { Tally } from "../../src/summary/tally.ts";
import { FakeElement, runPage } from "./drive/document.ts";
import { event, TOTALS } from "./drive/conn_event.ts";

const sha256 = (text: string): string => Bun.SHA256.hash(text, "base64");

const SECOND = 1_000_000_000n;
const BEGIN = 1_764_000_000n * SECOND;

/** A second between two events. */
function gathered(events: readonly ConnEvent[], most = 1_000, warnings: string[] = []) {
  const gathering = new Gathering(most);
  const tally = new Tally("process", 10, (told) => gathering.add(told));
  for (const [n, one] of events.entries()) tally.add(one, BEGIN + BigInt(n) * SECOND);
  const summary = tally.summary();
  const all = gathering.all;
  const about = { name: "day.rec", sessions: [], warnings, offsetAt: utc };
  return { all, html: pageHtml(pageOf(summary, all, about), sha256) };
}

interface Element {
  name: string;
  attributes: Record<string, string>;
  text: string;
}

/** As a browser takes it apart. */
async function elementsOf(html: string): Promise<Element[]> {
  const elements: Element[] = [];
  const open: Element[] = [];
  const rewriter = new HTMLRewriter().on("*", {
    element(found) {
      const one = {
        name: found.tagName,
        attributes: Object.fromEntries(found.attributes),
        text: "",
      };
      elements.push(one);
      open.push(one);
      try {
        found.onEndTag(() => void open.pop());
      } catch {
        open.pop();
      }
    },
    text(chunk) {
      const within = open.at(-1);
      if (within !== undefined) within.text += chunk.text;
    },
  });
  await rewriter.transform(new Response(html)).text();
  return elements;
}

const between = (html: string, from: string, to: string): string => {
  const start = html.indexOf(from) + from.length;
  return html.slice(start, html.indexOf(to, start));
};

const contentOf = (html: string) => ({
  data: between(html, '<script type="application/json" id="data">', "</script>"),
  script: between(html, "<script>", "</script>"),
  style: between(html, "<style>", "</style>"),
});

/** The rows that a table shows, by its title. */
function shown(tables: FakeElement, title: string): string[][] {
  const section = tables.children.find((one) =>
    one.querySelectorAll("h2").some((head) => head.textContent === title),
  )!;
  if (section.hidden) return [];
  const [body] = section.querySelectorAll("tbody");
  return body!.children.map((row) => row.children.map((cell) => cell.textContent));
}

function opened(html: string, clickable: FakeElement[] = []) {
  const { data, script } = contentOf(html);
  const { search, tables } = runPage(script, data, clickable);
  const type = (text: string) => {
    search.value = text;
    search.happens("input");
  };
  return { search, tables, type, rows: (title: string) => shown(tables, title) };
}

describe("no text from outside becomes markup", () => {
  const hostile = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\u2028\u2029",
    "\u202egnp.exe",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "\0\x1b[2J",
    "</title></style>",
  ];
  const events = hostile.map((name, n) =>
    event("close", {
      comm: name,
      cgroup: `/system.slice/${name}.service`,
      local: { address: name, port: n + 1 },
      remote: { address: name, port: 443 },
      tls: { version: null, serverName: name, alpn: null, alpnOffered: null },
    }),
  );
  const { html } = gathered(events, 1_000, hostile);

  test("the page has the elements that it has without", async () => {
    const plain = gathered(
      hostile.map((_, n) =>
        event("close", {
          comm: `p${n}`,
          cgroup: `/system.slice/p${n}.service`,
          local: { address: `l${n}`, port: n + 1 },
          remote: { address: `r${n}`, port: 443 },
          tls: { version: null, serverName: `s${n}`, alpn: null, alpnOffered: null },
        }),
      ),
      1_000,
      hostile.map(() => "w"),
    );
    const shapeOf = async (page: string) =>
      (await elementsOf(page)).map(({ name, attributes }) => [name, Object.keys(attributes)]);
    expect(await shapeOf(html)).toEqual(await shapeOf(plain.html));
  });

  test("no character turns the text around, ends a line or moves a cursor", () => {
    expect(html).not.toMatch(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/u);
  });

  test("each name is there, as the table of a trace shows it", () => {
    const names = opened(html)
      .rows("by process")
      .map(([name]) => name);
    expect(names).toContain("</script><script>alert(1)</script>");
    expect(names).toContain("<!--<script>");
    expect(names).toContain(String.raw`\u{202e}gnp.exe`);
    expect(names).toContain(String.raw`\x00\x1b[2J`);
  });
});

describe("the page needs nothing else", () => {
  const { html } = gathered([event("connect"), event("close")]);

  test("its policy allows its own script and style alone, and stands before them", async () => {
    const elements = await elementsOf(html);
    const at = elements.findIndex(({ attributes }) => "http-equiv" in attributes);
    const policy = elements[at]!.attributes["content"]!;
    const { script, style } = contentOf(html);
    expect(policy).toBe(
      `default-src 'none'; script-src 'sha256-${sha256(script)}'; style-src 'sha256-${sha256(style)}'; base-uri 'none'; form-action 'none'`,
    );
    expect(elements.slice(0, at).map(({ name }) => name)).toEqual(["html", "head", "meta"]);
  });

  test("no attribute runs, styles or loads anything", async () => {
    const names = (await elementsOf(html)).flatMap(({ attributes }) => Object.keys(attributes));
    expect(names.filter((name) => /^on|^(style|src|href|action|srcset)$/.test(name))).toEqual([]);
    expect(contentOf(html).style).not.toMatch(/url\(|@import/);
    expect(contentOf(html).script).not.toMatch(/<\/script|<!--/i);
  });
});

describe("the tables", () => {
  const events = [
    event("close", { comm: "small", local: { address: "10.0.0.1", port: 1 } }),
    event("close", {
      comm: "large",
      local: { address: "10.0.0.1", port: 2 },
      totals: { ...TOTALS, bytesSent: 2n ** 60n + 1n, durationNs: 1_042_001_000n },
    }),
    event("fail", {
      comm: "small",
      failure: 111,
      connectNs: 3_000_000n,
      remote: { address: "10.0.0.3", port: 80 },
    }),
    event("accept", {
      comm: "server",
      direction: "incoming",
      local: { address: "10.0.0.1", port: 22 },
    }),
  ];
  const { html } = gathered(events);

  test("have each connection once, with exact numbers", () => {
    const rows = opened(html).rows("all connections");
    expect(rows.map((row) => row.slice(0, 5))).toEqual([
      ["2025-11-24 15:59:59.995", "closed", "tcp", "7", "small"],
      ["2025-11-24 15:59:59.957", "closed", "tcp", "7", "large"],
      ["2025-11-24 16:00:01.997", "failed", "tcp", "7", "small"],
      ["2025-11-24 16:00:03.000", "open", "tcp", "7", "server"],
    ]);
    expect(rows[1]).toContain("1,152,921,504,606,846,977");
    expect(rows[1]).toContain("1,042.001 ms");
    expect(rows[2]).toContain("ECONNREFUSED");
  });

  test("a search shows the rows that have every word, in all tables", () => {
    const page = opened(html);
    page.type("small !ECONNREFUSED");
    expect(page.rows("all connections").map((row) => row[1])).toEqual(["closed"]);
    expect(page.rows("by process").map(([name]) => name)).toEqual(["small"]);
    expect(page.rows("failures")).toEqual([]);
    page.type("");
    expect(page.rows("all connections")).toHaveLength(4);
  });

  test("a click on a node of the picture searches for its name, a second one for nothing", () => {
    const node = new FakeElement("g");
    node.dataset["search"] = "large";
    const page = opened(html, [node]);
    node.happens("click");
    expect(page.rows("all connections").map((row) => row[4])).toEqual(["large"]);
    node.happens("click");
    expect(page.search.value).toBe("");
  });

  test("a click on a title orders the rows by value, what is not known last", () => {
    const page = opened(html);
    const order = (title: string) => {
      const buttons = page.tables.querySelectorAll("button");
      buttons.findLast((button) => button.dataset["title"] === title)!.happens("click");
      return page.rows("all connections").map((row) => row[4]);
    };
    expect(order("SENT")).toEqual(["large", "small", "small", "server"]);
    expect(order("SENT")).toEqual(["small", "large", "small", "server"]);
    expect(order("PROCESS")).toEqual(["large", "server", "small", "small"]);
  });

  test("list the newest connections, and say how many are only in the sums", () => {
    const many = Array.from({ length: 7 }, (_, n) =>
      event("close", { local: { address: "10.0.0.1", port: n + 1 } }),
    );
    const { html: short, all } = gathered(many, 3);
    const rows = opened(short).rows("all connections");
    expect(rows.map((row) => row.find((cell) => cell.startsWith("10.0.0.1:")))).toEqual([
      "10.0.0.1:5",
      "10.0.0.1:6",
      "10.0.0.1:7",
    ]);
    expect(all.older).toBe(4);
    expect(short).toContain("The newest ones: 4 older ones are only in the sums.");
    expect(opened(short).rows("by process")[0]!.slice(0, 2)).toEqual(["curl", "7"]);
  });
});

describe("the timeline", () => {
  test("has a bin for each time, and loses nothing as bins grow or an older time comes", () => {
    const bins = new Bins(1);
    const times = [0n, 5n, 3_600n, 86_400n, -40n, 86_399n].map((second) => BEGIN + second * SECOND);
    for (const time of times) bins.add(time, 0);
    const { all } = bins;
    expect(all.length).toBeLessThanOrEqual(256);
    for (const time of times)
      expect(
        all.some(({ fromNs, toNs, counts }) => fromNs <= time && time < toNs && counts[0]! > 0),
      ).toBeTrue();
    expect(all.reduce((sum, { counts }) => sum + counts[0]!, 0)).toBe(times.length);
  });

  test("counts what began and what was open, also what was there before", () => {
    const other = { local: { address: "10.0.0.1", port: 9 } };
    const { all, html } = gathered([
      event("open", other),
      event("connect"),
      event("close"),
      event("close", { ...other, totals: { ...TOTALS, durationNs: null } }),
    ]);
    expect(all.openBefore).toBe(1);
    expect(all.bins.reduce((sum, { counts }) => sum + counts[BEGAN]!, 0)).toBe(1);
    expect(html).toContain("open at once, at most 2");
  });
});

test("the picture's bands are as thick as the bytes, and each names what it joins", async () => {
  const { html } = gathered([
    event("close", { totals: { ...TOTALS, bytesSent: 300_000n, bytesReceived: 0n } }),
    event("close", {
      comm: "sshd",
      direction: "incoming",
      local: { address: "10.0.0.1", port: 22 },
      totals: { ...TOTALS, bytesSent: 100_000n, bytesReceived: 0n },
    }),
  ]);
  const bands = (await elementsOf(html)).filter(({ attributes }) =>
    attributes["class"]?.startsWith("band"),
  );
  const [thick, thin] = bands.map(({ attributes }) => Number(attributes["stroke-width"]));
  expect(thick! / thin!).toBeCloseTo(3, 1);
  const titles = [...html.matchAll(/<title>(.*?)<\/title>/g)].map(([, title]) => title);
  expect(titles).toContain("curl → 443/tcp: 1 connection, 293K sent, 0 received");
  expect(titles).toContain("sshd → 22/tcp here: 1 connection, 98K sent, 0 received");
});

test("20,000 connections take less than 2.4 MB, and the script makes elements for the rows that are seen", () => {
  const gathering = new Gathering(20_000);
  const tally = new Tally("process", 10, (told) => gathering.add(told));
  for (let n = 0; n < 20_000; n++)
    tally.add(
      event("close", {
        comm: `process-${n % 50}`,
        pid: n % 5_000,
        local: { address: `10.0.${n % 7}.1`, port: 1 + (n % 60_000) },
        remote: { address: `10.1.${n % 250}.2`, port: 443 },
      }),
      BEGIN + BigInt(n) * 1_000_000n,
    );
  const about = { name: "day.rec", sessions: [], warnings: [], offsetAt: utc };
  const html = pageHtml(pageOf(tally.summary(), gathering.all, about), sha256);
  expect(html.length).toBeLessThan(2.4e6);
  const page = opened(html);
  expect(page.rows("all connections")).toHaveLength(50);
  expect(page.tables.querySelectorAll("tr").length).toBeLessThan(300);
}, 60_000);

test("the command writes the page of a recording, and says what is missing", () => {
  const recording = join(import.meta.dir, "../fixtures/recording/two_sessions.recording");
  const main = join(import.meta.dir, "../../src/main.ts");
  const child = Bun.spawnSync([process.execPath, main, "report", recording]);
  const html = child.stdout.toString();
  expect(child.stderr.toString()).toEndWith("the recording: none lost\n");
  expect(html).toStartWith("<!doctype html>\n");
  expect(opened(html).rows("all connections")).toHaveLength(14);
  expect(child.exitCode).toBe(0);
});
