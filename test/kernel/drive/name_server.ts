/** A name server that gives every address the same name. */
import { createSocket } from "node:dgram";

export interface NameServer extends Disposable {
  /** `address:port`. */
  readonly at: string;
  /** Questions heard so far. */
  readonly asked: number;
}

/** `labels`: the parts of the name; `null`: it hears and says nothing. With `until` it answers only after that. */
export async function nameServer(
  labels: readonly string[] | null,
  { address = "127.0.0.1", port = 0, until = Promise.resolve() } = {},
): Promise<NameServer> {
  const socket = createSocket("udp4");
  let asked = 0;
  let closed = false;
  socket.on("message", (query, from) => {
    asked++;
    if (labels === null) return;
    void until.then(() => {
      if (!closed) socket.send(answer(query, labels), from.port, from.address);
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

// --- internal ---

function answer(query: Buffer, labels: readonly string[]): Buffer {
  let end = 12;
  while (query[end] !== 0) end += query[end]! + 1;
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(0x8180, 2); // a response without an error
  header.writeUInt16BE(1, 6); // with one answer
  header.fill(0, 8);
  const name = Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])),
    Buffer.of(0),
  ]);
  // A pointer to the question's name, PTR, IN, 60 s, the length.
  const record = Buffer.of(0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, name.length);
  const question = query.subarray(12, end + 5);
  return Buffer.concat([header, question, record, name]);
}
