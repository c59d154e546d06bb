/** Before any protocol is named: bytes of a connection of the tool's own must come back as they were sent. */
import { abort, check, LoopbackError, openPair, receiveBytes } from "../../guess/loopback.ts";
import { withLoopback } from "../../guess/netns.ts";
import * as libc from "../../kernel/libc.ts";
import { EventKind, readPayload, type Event, type Payload } from "../../record/layout.gen.ts";
import { asView } from "../event.ts";

/** Records are there at once; a machine that stands still for a while must not fail. */
const PATIENCE_MS = 1000;
/** More than a record has, so that its length is the segment's. */
const BYTES = Uint8Array.from({ length: 211 }, (_, n) => 7 + n);

/** Returns what is wrong, or null. */
export function checkLooks(drain: () => Event[]): string | null {
  let seen: Payload | null;
  try {
    seen = withLoopback(() => exchange(drain));
  } catch (error) {
    if (error instanceof LoopbackError) return error.message;
    throw error;
  }
  if (seen === null) return "the first bytes of a connection of the tool's own were not seen";
  const right =
    seen.offset === 0 &&
    seen.len === BYTES.length &&
    seen.got > 0 &&
    seen.bytes.subarray(0, seen.got).every((byte, n) => byte === BYTES[n]);
  return right ? null : "the first bytes of a connection of the tool's own came back otherwise";
}

// --- internal ---

/** null: nothing was seen. */
function exchange(drain: () => Event[]): Payload | null {
  using pair = openPair("v4");
  check(libc.send(pair.server, BYTES, 0), "send");
  receiveBytes(pair.client, BYTES.length);
  abort(pair.client, pair.server);
  const deadline = performance.now() + PATIENCE_MS;
  // The close comes behind it.
  for (;;) {
    const events = drain();
    const payloads = events.filter(({ kind }) => kind === EventKind.EVENT_PAYLOAD).map(payloadOf);
    const own = payloads.find(({ len }) => len === BYTES.length);
    if (own !== undefined) return own;
    if (performance.now() > deadline) return null;
    libc.usleep(200);
  }
}

function payloadOf(event: Event): Payload {
  const { view, p } = asView(event);
  return readPayload(view, p);
}
