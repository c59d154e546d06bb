/** A name server that gives every address the same name, and every name the same address. */
import { createSocket } from "node:dgram";

export interface NameServer extends Disposable {
  /** `address:port`. */
  readonly at: string;
  /** Questions heard so far. */
  readonly asked: number;
}

/**
 * `labels`: the parts of the name; `null`: it hears and says nothing. With `until` it answers only after that. `found`: the
 * address of every name.
 */
export async function nameServer(
  labels: readonly string[] | null,
  { address = "127.0.0.1", port = 0, until = Promise.resolve(), found = "127.0.0.1" } = {},
): Promise<NameServer> {
  const socket = createSocket("udp4");
  let asked = 0;
  let closed = false;
  socket.on("message", (query, from) => {
    asked++;
    if (labels === null) return;
    void until.then(() => {
      if (!closed) socket.send(answer(query, labels, found), from.port, from.address);
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, address, resolve);
  });
  return {
    at: `${address}:${socket.address().port}`,
    get asked() {
      return asked;
    },
    [Symbol.dispose]() {
      closed = true;
      socket.close();
    },
  };
}

/** A query for the address of `name`. */
export const addressQuery = (name: string): Buffer =>
  Buffer.concat([
    Buffer.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    nameOf(name.split(".")),
    Buffer.of(0, A, 0, 1),
  ]);

// --- internal ---

const [A, PTR] = [1, 12];

const nameOf = (labels: readonly string[]): Buffer =>
  Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);

function answer(query: Buffer, labels: readonly string[], found: string): Buffer {
  let end = 12;
  while (query[end] !== 0) end += query[end]! + 1;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2); // a response without an error
  header.writeUInt16BE(1, 6); // with one answer
  header.fill(0, 8);
  const type = query.readUInt16BE(end + 1) === A ? A : PTR;
  const data = type === A ? Buffer.from(found.split(".").map(Number)) : nameOf(labels);
  // A pointer to the question's name, the type, IN, 60 s, the length.
  const record = Buffer.of(0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length);
  const question = query.subarray(12, end + 5);
  return Buffer.concat([header, question, record, data]);
}
