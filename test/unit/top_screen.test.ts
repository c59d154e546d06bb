/** The live view's screens and keys, of one trace that is always the same. */
import { describe, expect, test } from "bun:test";
import type { TracedEvent } from "../../src/conn/identity.ts";
import { codesFor, enter, ESC, leave } from "../../src/top/codes.ts";
import { cut, fit } from "../../src/top/cells.ts";
import type { Tick } from "../../src/top/facts.ts";
import { History, sparkline } from "../../src/top/history.ts";
import { keys, keysOf, press } from "../../src/top/keys.ts";
import { Model } from "../../src/top/model.ts";
import { rowsOf } from "../../src/top/rows.ts";
import { fitsOn, screenOf, tableOf, type Frame, type Size } from "../../src/top/screen.ts";
import { firstView, inOrder, queryOf, type View } from "../../src/top/state.ts";
import { eventOf, SECOND } from "./drive/traced_event.ts";
import { anyText, fc, runs } from "./drive/random.ts";

const at = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));

/** A web server with two clients, a process that cannot reach its database, and a name that wants to draw. */
function traced(): { tick: Tick; history: History } {
  const model = new Model(0n);
  const history = new History();
  const nginx = (cookie: number): Partial<TracedEvent> => ({
    cookie,
    pid: 812,
    comm: "nginx",
    direction: "incoming",
    local: { address: "192.0.2.1", port: 443 },
    remote: { address: `198.51.100.${cookie}`, port: 50_000 + cookie },
    cgroup: "/system.slice/nginx.service",
    application: { api: null, application: "http", encryption: "tls" },
    nat: false,
  });
  const app: Partial<TracedEvent> = {
    cookie: 20,
    pid: 4242,
    comm: "app\u001B[2J\n\u202Eevil",
    remote: { address: "10.96.0.10", port: 5432 },
    nat: { local: null, remote: { address: "10.244.1.7", port: 5432 } },
    container: "0123456789ab".padEnd(64, "c"),
  };
  const wide: Partial<TracedEvent> = {
    cookie: 30,
    pid: 77,
    comm: "数据库同步进程",
    remote: { address: "2001:db8:85a3::8a2e:370:7334", port: 6432 },
    family: 6,
    local: { address: "2001:db8::1", port: 39_999 },
  };
  model.observe(eventOf("open", at(0.1), { sent: 9_000_000n, received: 1n }, nginx(1)));
  model.cut(SECOND);
  const push = (tick: Tick) => {
    const query = queryOf(firstView({ by: "process", sort: "rate", intervalMs: 1000 }), 100);
    history.push(rowsOf(tick, query).rows, 1);
    return tick;
  };
  for (let second = 2; second <= 9; second++) {
    const sent = 9_000_000n + BigInt(second * second * 100_000);
    model.observe(eventOf("sample", at(second), { sent, received: 501n, rttUs: 12_345 }, nginx(1)));
    if (second === 4) model.observe(eventOf("accept", at(3.5), null, nginx(2)));
    if (second > 4)
      model.observe(eventOf("sample", at(second), { sent: 1000n, retransmits: 3 }, nginx(2)));
    model.observe(
      eventOf("fail", at(second - 0.5), null, { ...app, cookie: 100 + second, failure: 111 }),
    );
    if (second === 5) model.observe(eventOf("connect", at(4.9), null, wide));
    if (second === 8) model.observe(eventOf("sample", at(8), { sent: null, received: null }, wide));
    push(model.cut(at(second)));
  }
  model.observe(
    eventOf("close", at(9.5), { sent: 1500n, durationNs: at(6), retransmits: 3 }, nginx(2)),
  );
  model.observe(eventOf("connect", at(9.5), null, app));
  return { tick: push(model.cut(at(10))), history };
}

const first = firstView({ by: "process", sort: "rate", intervalMs: 1000 });
const { tick, history } = traced();

function frameOf(view: View, size: Size, more: Partial<Frame["around"]> = {}): Frame {
  return {
    view,
    tick,
    found: inOrder(rowsOf(tick, queryOf(view, 1000)), view.frozen),
    ratesOf: ({ key }) => history.of(key),
    around: {
      time: "03:12:44",
      losses: [],
      cpuShare: 0.012,
      memoryBytes: 68e6,
      message: null,
      ...more,
    },
    size,
    plain: false,
  };
}

const screen = (view: Partial<View>, size: Size, more: Partial<Frame["around"]> = {}): string =>
  screenOf(frameOf({ ...first, ...view }, size, more))
    .map(({ text, style }) => `${text.trimEnd()}${style === "selected" ? "   <selected" : ""}`)
    .join("\n");

const usual: Size = { columns: 80, rows: 24 };
const small: Size = { columns: 80, rows: 9 };

/** The view after some keys. */
function pressing(view: View, ...pressed: string[]): View {
  return pressed.reduce((before, key) => {
    const { found, size } = frameOf(before, usual);
    return press(before, key, { rows: found.rows, fits: fitsOn(size) });
  }, view);
}

describe("screens", () => {
  test("by process, 80 columns", () => {
    expect(screen({}, small)).toMatchSnapshot();
  });
  test("by process, 160 columns", () => {
    expect(screen({}, { columns: 160, rows: 9 })).toMatchSnapshot();
  });
  test("by connection, 80 and 200 columns", () => {
    expect(screen({ by: "connection" }, small)).toMatchSnapshot();
    expect(screen({ by: "connection" }, { columns: 200, rows: 9 })).toMatchSnapshot();
  });
  test("by unit, by remote and by local port", () => {
    for (const by of ["unit", "remote", "port"] as const)
      expect(screen({ by }, small)).toMatchSnapshot();
  });
  test("with a row selected and expanded, ended rows, frozen, paused, filtered", () => {
    const [busiest] = frameOf(first, usual).found.rows;
    const view = { selected: busiest!.key, expanded: new Set([busiest!.key]), ended: true };
    expect(screen({ ...view, paused: true, frozen: [], filter: "n" }, usual)).toMatchSnapshot();
  });
  test("details of a process and of a connection", () => {
    expect(screen(pressing(first, "enter"), usual)).toMatchSnapshot();
    const toDatabase = pressing({ ...first, by: "connection", filter: "10.96" }, "enter");
    expect(screen(toDatabase, usual)).toMatchSnapshot();
  });
  test("help", () => {
    expect(screen({ help: true }, { columns: 80, rows: 50 })).toMatchSnapshot();
  });
  test("losses, a message and the text that is typed stand in the last line", () => {
    const last = (view: Partial<View>, more: Partial<Frame["around"]>) =>
      screen(view, small, more).split("\n").at(-1);
    const losses = [{ cause: "ring full", count: 12n }];
    expect(last({}, { losses })).toStartWith("LOST 12: ring full 12; own 1.2 % CPU");
    expect(last({}, { message: "the filter is not used" })).toBe("the filter is not used");
    expect(last({ typing: "--comm x" }, {})).toStartWith("filter: --comm x_");
  });
  test("as a table for a file", () => {
    const size = { columns: 120, rows: Infinity };
    expect(tableOf(frameOf(first, size)).join("\n")).toMatchSnapshot();
  });
});

test("no screen is larger than the terminal, and none obeys a name", () => {
  const size = fc.record({
    columns: fc.integer({ min: 1, max: 250 }),
    rows: fc.integer({ min: 1, max: 60 }),
  });
  const pressed = fc.array(
    fc.constantFrom(...keys.flatMap((key) => key.keys).filter((key) => key !== "q"), "x"),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(size, pressed, (some, names) => {
      const view = pressing(first, ...names);
      const lines = screenOf(frameOf(view, some));
      expect(lines.length).toBeLessThanOrEqual(some.rows);
      for (const { text } of lines) {
        expect(Bun.stringWidth(text)).toBeLessThanOrEqual(some.columns);
        expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }
    }),
    runs(200),
  );
});

test("a cell takes as many columns as it has, whatever is in it", () => {
  const text = anyText().map((some) => some.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, ""));
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 30 }), (some, width) => {
      expect(Bun.stringWidth(cut(some, width))).toBeLessThanOrEqual(width);
      const sum = [...fit(some, width)].reduce((all, char) => all + Bun.stringWidth(char), 0);
      expect(sum).toBeGreaterThanOrEqual(Bun.stringWidth(fit(some, width)));
    }),
    runs(300),
  );
  expect(fit("数据库", 5)).toBe("数据+");
  expect(fit("数据库", 4)).toBe("数+ ");
});

test("a sparkline shows the newest values against their maximum, nothing as a blank, unknown as ?", () => {
  expect(sparkline([0, 1, 4, 8, null], 6, "blocks")).toBe("  ▂▅█?");
  expect(sparkline([8, 8, 1, 8], 2, "plain")).toBe(":@");
});

describe("keys", () => {
  test("are read from what a terminal sends; sequences that are not known are none", () => {
    expect(keysOf(`q${ESC}[A${ESC}OB\r\u007F`)).toEqual(["q", "up", "down", "enter", "backspace"]);
    expect(keysOf(`${ESC}[200~x${ESC}[31;5m${ESC}`)).toEqual(["x", "escape"]);
    expect(keysOf("\u0003")).toEqual(["^C"]);
  });
  test("of the table have one meaning each, and the help tells of all that are shown", () => {
    const all = keys.flatMap((key) => key.keys);
    expect(new Set(all).size).toBe(all.length);
    const help = screen({ help: true }, { columns: 80, rows: 80 });
    for (const { shown } of keys) expect(help).toContain(shown);
  });
  test("of the help go down to its end, line by line and page by page", () => {
    const last = "is the row's maximum";
    expect(screen(pressing(first, "h"), usual)).not.toContain(last);
    const down = (key: string) => pressing(first, "h", ...Array.from({ length: 60 }, () => key));
    for (const key of ["down", "pagedown", "end"]) expect(screen(down(key), usual)).toContain(last);
    expect(screen(pressing(first, "h", "end", "home"), usual)).toContain("q, Ctrl-C");
  });
  test("q and Ctrl-C quit, also while text is typed", () => {
    expect(pressing(first, "q").quit).toBe(true);
    expect(pressing(first, "/", "^C").quit).toBe(true);
    expect(pressing(first, "/", "q")).toMatchObject({ quit: false, typing: "q" });
  });
  test("s sorts by the next column, S the other way round", () => {
    const sorted = pressing(first, "s");
    expect(sorted.sort).toBe("open");
    expect(pressing({ ...first, sort: "unit" }, "s").sort).toBe("rate");
    const names = (view: View) => frameOf(view, usual).found.rows.map(({ event }) => event.pid);
    expect(names(pressing(sorted, "S"))).toEqual(names(sorted).toReversed());
  });
  test("/ filters by a part of a name; Escape takes the filter away", () => {
    const filtered = pressing(first, "/", ..."NGI", "enter");
    expect(filtered).toMatchObject({ filter: "NGI", typing: null });
    expect(frameOf(filtered, usual).found.rows.map(({ event }) => event.comm)).toEqual(["nginx"]);
    expect(pressing(filtered, "escape").filter).toBe("");
    expect(pressing(filtered, "/", "x", "escape").filter).toBe("NGI");
    expect(pressing(filtered, "/", "backspace", "enter").filter).toBe("NG");
  });
  test("f freezes the order", () => {
    const frozen = pressing(pressing(first, "S"), "f");
    const order = frozen.frozen!;
    expect(order.length).toBeGreaterThan(1);
    const kept = frameOf({ ...frozen, reverse: false }, usual).found.rows.map(({ key }) => key);
    expect(kept).toEqual([...order]);
    expect(pressing(frozen, "f").frozen).toBeNull();
  });
  test("g goes round all groupings, and G back", () => {
    expect(pressing(first, "g").by).toBe("comm");
    expect(pressing(first, "G").by).toBe("netns");
    expect(pressing(pressing(first, "g"), "G").by).toBe("process");
  });
  test("Enter shows one row, and Escape goes back to it", () => {
    const inside = pressing(first, "down", "down", "enter");
    expect(inside.details).not.toBeNull();
    expect(pressing(inside, "escape")).toMatchObject({
      details: null,
      selected: inside.details!.key,
    });
  });
  test("+ and - change the interval, within limits", () => {
    expect(pressing(first, "+").intervalMs).toBe(2000);
    expect(pressing(first, "-").intervalMs).toBe(500);
    expect(pressing(first, ..."----------").intervalMs).toBe(200);
    expect(pressing(first, ..."++++++++++").intervalMs).toBe(60_000);
    expect(pressing({ ...first, intervalMs: 3000 }, "+").intervalMs).toBe(5000);
    expect(pressing({ ...first, intervalMs: 3000 }, "-").intervalMs).toBe(2000);
  });
  test("p, t, n, b and Space go on and off", () => {
    for (const key of ["p", "t", "n", "b", "h", " "]) {
      const on = pressing(first, key);
      expect(on).not.toEqual(first);
      const { selected: _, ...off } = pressing(on, key);
      expect(first).toMatchObject(off);
    }
  });
});

describe("escape codes", () => {
  test("only lines that have changed are written, each at its place", () => {
    const before = [{ text: "a" }, { text: "b" }];
    expect(codesFor(before, before, false)).toBe("");
    expect(codesFor([{ text: "a" }, { text: "c" }], before, false)).toBe(
      `${ESC}[?2026h${ESC}[2;1H${ESC}[Kc${ESC}[?2026l`,
    );
    expect(codesFor([{ text: "a", style: "alarm" }], null, true)).toContain(
      `${ESC}[1;31ma${ESC}[0m`,
    );
  });
  test("all that is switched on is switched off", () => {
    const switched = (codes: string, how: string) =>
      [...codes.matchAll(/\[\?(\d+)([hl])/g)]
        .filter(([, , to]) => to === how)
        .map(([, code]) => code);
    expect(switched(leave, "l")).toEqual(expect.arrayContaining(switched(enter, "h")));
    expect(switched(leave, "h")).toEqual(expect.arrayContaining(switched(enter, "l")));
  });
});
