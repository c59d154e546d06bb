/**
 * Answers GET /metrics, and nothing else, to few clients at once. Bounds on number, size and time of requests keep slow and
 * hostile clients from holding memory; nobody waits for a client.
 */
import type { Socket, TCPSocketListener } from "bun";
import { Failure } from "../errors.ts";

export interface Place {
  address: string;
  port: number;
}

export interface MetricsServer extends Disposable {
  readonly port: number;
}

/** A further client takes the place of the oldest one. */
const MOST_CLIENTS = 8;
const MOST_REQUEST_BYTES = 8192;
/** For the request and its answer. */
const CLIENT_MS = 30_000;

export interface Page {
  type: string;
  body: Uint8Array;
}

/** Throws a Failure if the place cannot be had. `page` is called for each request that is to be answered. */
export function serveMetrics(place: Place, page: () => Page): MetricsServer {
  const clients = new Set<Socket<Client>>();
  let listener: TCPSocketListener<Client>;
  try {
    listener = Bun.listen<Client>({
      hostname: place.address,
      port: place.port,
      // A client may end its sending before it gets the answer.
      allowHalfOpen: true,
      socket: {
        open(socket) {
          const [oldest] = clients;
          if (clients.size >= MOST_CLIENTS) oldest!.terminate();
          const timer = setTimeout(() => socket.terminate(), CLIENT_MS);
          timer.unref();
          socket.data = { request: "", answer: null, timer };
          clients.add(socket);
        },
        data(socket, bytes) {
          const { data } = socket;
          if (data.answer !== null) return;
          data.request += bytes.toString("latin1");
          const answer = answerTo(data.request, isLoopback(place.address), page);
          if (answer === null) return;
          data.answer = answer;
          send(socket);
        },
        drain: send,
        end: (socket) => {
          if (socket.data.answer === null) socket.end();
        },
        error: (socket) => socket.terminate(),
        close(socket) {
          clearTimeout(socket.data.timer);
          clients.delete(socket);
        },
      },
    });
  } catch (error) {
    throw refused(place, error);
  }
  return {
    port: listener.port,
    [Symbol.dispose]() {
      listener.stop(true);
    },
  };
}

export const isLoopback = (address: string): boolean =>
  address === "::1" || /^127\.\d+\.\d+\.\d+$/.test(address);

export const placeText = ({ address, port }: Place): string =>
  `${address.includes(":") ? `[${address}]` : address}:${port}`;

/** The bytes of an answer, the head and the body apart: several clients share a body. `null`: the request goes on. */
export function answerTo(
  request: string,
  onlyLocal: boolean,
  page: () => Page,
): Uint8Array[] | null {
  const end = request.indexOf("\r\n\r\n");
  if (end < 0)
    return request.length < MOST_REQUEST_BYTES
      ? null
      : plain("431 Request Header Fields Too Large", "the request is too long");
  const [line = "", ...fields] = request.slice(0, end).split("\r\n");
  const [, method, target] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(line) ?? [];
  if (target === undefined) return plain("400 Bad Request", "this is no request of HTTP/1");
  // A page of a browser that got a foreign name for this address: its own name stands there.
  if (
    onlyLocal &&
    !fields.every((field) => !/^host:/i.test(field) || namesThisHost(field.slice(5)))
  )
    return plain("403 Forbidden", "ask by address, or as localhost");
  if (target.split("?")[0] !== "/metrics") return plain("404 Not Found", "not found");
  if (method !== "GET") return plain("405 Method Not Allowed", "only GET", ["Allow: GET"]);
  const { type, body } = page();
  return [head("200 OK", type, body.length), body];
}

// --- internal ---

interface Client {
  request: string;
  answer: Uint8Array[] | null;
  timer: ReturnType<typeof setTimeout>;
}

/** As much as the client takes by now. */
function send(socket: Socket<Client>): void {
  const { answer } = socket.data;
  while (answer !== null && answer.length > 0) {
    const written = socket.write(answer[0]!);
    if (written < 0) return socket.terminate();
    if (written < answer[0]!.length) return void (answer[0] = answer[0]!.subarray(written));
    answer.shift();
  }
  if (answer !== null) socket.end();
}

/** `localhost`, or an address: no name that somebody else could have given away. */
const namesThisHost = (host: string): boolean =>
  /^(localhost|\d+\.\d+\.\d+\.\d+|\[[\da-f:.]+\])(:\d+)?$/i.test(host.trim());

const encoder = new TextEncoder();

const plain = (status: string, text: string, more: string[] = []): Uint8Array[] => {
  const body = encoder.encode(`${text}\n`);
  return [head(status, "text/plain; charset=utf-8", body.length, more), body];
};

function head(status: string, type: string, length: number, more: string[] = []): Uint8Array {
  const fields = [
    `Content-Type: ${type}`,
    `Content-Length: ${length}`,
    "X-Content-Type-Options: nosniff",
    "Connection: close",
    ...more,
  ];
  return encoder.encode(`HTTP/1.1 ${status}\r\n${fields.join("\r\n")}\r\n\r\n`);
}

const reasons: Readonly<Record<string, (place: Place) => { why: string; hint: string }>> = {
  EADDRINUSE: ({ port }) => ({
    why: "another program listens there",
    hint: `ss -ltnp 'sport = :${port}' shows which; or give another port`,
  }),
  EADDRNOTAVAIL: () => ({
    why: "this host does not have the address",
    hint: "ip address shows those that it has; 127.0.0.1 is always there",
  }),
  EACCES: () => ({
    why: "ports below 1024 are for those with CAP_NET_BIND_SERVICE",
    hint: "give a port from 1024 on, 9464 for instance",
  }),
};

function refused(place: Place, error: unknown): Failure {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return new Failure(`--metrics: cannot listen at ${placeText(place)}`, {
    ...reasons[code]?.(place),
    cause: error,
  });
}
