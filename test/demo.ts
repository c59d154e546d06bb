/**
 * `npm start`: shows this machine's TCP connections for 10 seconds, while a small client makes a few of its own.
 * Ends 0 when the trace did and the client's connections were among the lines.
 */
import { fileURLToPath } from "node:url";

const binary = fileURLToPath(new URL("../dist/tracer-bpf", import.meta.url));
const seconds = 10;

console.error(
  `Tracing this machine for ${seconds} seconds, while a client in this script talks to a server in it:\n`,
);

const tracer = Bun.spawn([binary, "trace", "--duration", `${seconds}s`], {
  stdin: "ignore",
  stdout: "pipe",
  stderr: "pipe",
});
const { promise: tracing, resolve: attached } = Promise.withResolvers<void>();
let shown = "";
const output = Promise.all([
  copy(tracer.stdout, (text) => {
    shown += text;
    process.stdout.write(text);
  }),
  copy(tracer.stderr, (text) => {
    process.stderr.write(text);
    if (text.includes("tracing")) attached();
  }),
]);

await Promise.race([tracing, tracer.exited]);
const ports = tracer.exitCode === null ? await talk(3) : [];
const exitCode = await tracer.exited;
await output;

const missing = ports.filter((port) => !shown.includes(`127.0.0.1:${port}`));
if (exitCode !== 0) fail(`the trace ended with exit code ${exitCode}`);
if (missing.length > 0)
  fail(`the client's connections from ports ${missing.join(", ")} are not shown`);
console.error(`\nThe client's ${ports.length} connections are among the lines above.`);

// --- internal ---

/** Makes `count` connections, one after the other; returns their local ports. */
async function talk(count: number): Promise<number[]> {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, question) => {
        socket.end(`you said ${question.length} bytes\n`);
      },
    },
  });
  const ports = [];
  for (let i = 1; i <= count; i++) ports.push(await ask(server.port, i * 1000));
  server.stop(true);
  return ports;
}

function ask(port: number, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let local = 0;
    void Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          local = socket.localPort;
          socket.write("?".repeat(bytes));
        },
        data: () => {},
        close: () => resolve(local),
        connectError: (_, error) => reject(error),
      },
    });
  });
}

async function copy(stream: ReadableStream<Uint8Array>, to: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) to(decoder.decode(chunk, { stream: true }));
}

function fail(why: string): never {
  console.error(`\nerror: ${why}`);
  process.exit(1);
}
