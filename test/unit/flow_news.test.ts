/** Of each flow it is told once what it speaks, behind its beginning. */
import { expect, test } from "bun:test";
import { stackOf } from "../../src/protocols/stack.ts";
import { eventSize, EventKind, readEvent } from "../../src/record/layout.gen.ts";
import { FlowNews } from "../../src/trace/protocols/flow_news.ts";

const event = {
  ...readEvent(new DataView(new ArrayBuffer(eventSize)), 0),
  kind: EventKind.EVENT_UDP_OPEN,
};
const DNS = stackOf(null, "dns", null);

function told(news: FlowNews): string[] {
  const all: string[] = [];
  news.tell(({ timestamp }, kind) => void all.push(`${timestamp} ${kind}`));
  return all;
}

test("a flow is told of once, when it has begun and is recognised", () => {
  const news = new FlowNews();
  news.looked("a", DNS, 7n);
  expect(told(news)).toEqual([]);
  news.begun("a", event);
  expect(told(news)).toEqual(["7 protocol"]);
  news.looked("a", DNS, 8n);
  expect(told(news)).toEqual([]);
  expect(news.brings("a")).toBeNull();
});

test("a close brings what was not told yet, and of a flow that spoke nothing known nothing", () => {
  const news = new FlowNews();
  for (const key of ["a", "b"]) news.begun(key, event);
  news.looked("a", DNS, 7n);
  news.looked("b", null, 7n);
  expect(news.brings("a")?.[1]).toBe("protocol");
  expect(news.brings("b")).toBeNull();
  for (const key of ["a", "b"]) news.delete(key);
  expect(told(news)).toEqual([]);
});
