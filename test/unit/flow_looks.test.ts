/** Records with the first bytes of datagrams find their flow; looks say who sends the bytes. */
import { expect, test } from "bun:test";
import type { Look } from "../../src/protocols/recognition.ts";
import {
  ConnDirection,
  datagramLookSize,
  EVENT_COOKIE,
  EVENT_DIRECTION,
  EVENT_ENDS_DPORT,
  EVENT_OWNER_PID,
  EVENT_RTT,
  EVENT_STATE_TRANSITIONS,
} from "../../src/record/layout.gen.ts";
import { FlowLooks } from "../../src/trace/protocols/flow_looks.ts";

class Recorder {
  readonly looks: string[] = [];
  see({ fromClient, length, bytes }: Look): boolean {
    this.looks.push(
      `${fromClient ? "client" : "server"} ${length} ${Buffer.from(bytes).toString()}`,
    );
    return false;
  }
}

/** Of a flow to this port, of the socket with this cookie. */
function look(dport: number, cookie: number, text: string, sent = 1): DataView {
  const view = new DataView(new ArrayBuffer(datagramLookSize));
  view.setUint16(EVENT_ENDS_DPORT, dport, true);
  view.setUint32(EVENT_COOKIE, cookie, true);
  Buffer.from(view.buffer).write(text, EVENT_OWNER_PID, "latin1");
  view.setUint32(EVENT_RTT, 900, true);
  view.setUint16(EVENT_STATE_TRANSITIONS, text.length, true);
  view.setUint16(EVENT_STATE_TRANSITIONS + 2, sent, true);
  view.setUint8(EVENT_DIRECTION, ConnDirection.DIRECTION_OUTGOING);
  return view;
}

const looksOf = (flows: FlowLooks<Recorder>, dport: number, cookie: number) =>
  flows.of(look(dport, cookie, ""), 0)?.recogniser.looks;

test("bytes find their flow by the socket and both ends", () => {
  const flows = new FlowLooks(() => new Recorder());
  flows.look(look(53, 7, "question"), 0);
  flows.look(look(53, 7, "answer", 0), 0);
  flows.look(look(54, 7, "another end"), 0);
  flows.look(look(53, 8, "another socket"), 0);
  expect(looksOf(flows, 53, 7)).toEqual(["client 900 question", "server 900 answer"]);
  expect(looksOf(flows, 54, 7)).toEqual(["client 900 another end"]);
  expect(looksOf(flows, 53, 8)).toEqual(["client 900 another socket"]);
  expect(looksOf(flows, 54, 8)).toBeUndefined();
});

test("a flow that has ended is forgotten, and the oldest where there are too many", () => {
  const flows = new FlowLooks(() => new Recorder(), 2);
  for (const dport of [1, 2, 3]) flows.look(look(dport, 7, "x"), 0);
  expect([1, 2, 3].map((dport) => looksOf(flows, dport, 7)?.length)).toEqual([undefined, 1, 1]);
  flows.delete(look(3, 7, ""), 0);
  expect(looksOf(flows, 3, 7)).toBeUndefined();
});
