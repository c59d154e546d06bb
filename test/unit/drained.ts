/** Records as a drain gives them, read as the trace reads them. */
import { eventSize, EventView, type Event } from "../../src/record/layout.gen.ts";
import { EventQueue } from "../../src/trace/stream/queue.ts";

/** Every record of `bytes`, in order of time, each copied. */
export function readRecords(bytes: Uint8Array): Event[] {
  const queue = queueOf(bytes);
  const events: Event[] = [];
  queue.take(Infinity, (view, p) => {
    const copy = new Uint8Array(view.buffer, view.byteOffset + p, eventSize).slice();
    events.push(new EventView(new DataView(copy.buffer), 0));
  });
  return events;
}

export function queueOf(bytes: Uint8Array): EventQueue {
  const queue = new EventQueue();
  queue.room(bytes.length).set(bytes);
  queue.filled(bytes.length);
  return queue;
}
