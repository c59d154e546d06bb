import { expect, test } from "bun:test";
import { readSockCopy, sockCopySize, writeSockCopy } from "../../src/record/layout.gen.ts";
import { listenerHead } from "../../src/trace/tcp/listener_head.ts";

const SK = 0xffff_8881_0000_8000n;
const LISTENER = 0xffff_8881_0000_4000n;
const HEAD = 1400;

function sock(words: Record<number, bigint>) {
  const bytes = new Uint8Array(2048);
  const view = new DataView(bytes.buffer);
  for (const [at, word] of Object.entries(words)) view.setBigUint64(Number(at), word, true);
  const copy = new DataView(new ArrayBuffer(sockCopySize));
  writeSockCopy(copy, 0, { sk: SK, listener: LISTENER, port: 8080n, bytes });
  return readSockCopy(copy, 0);
}

test("a list head that points to its own place in the listener tells its offset", () => {
  const own = { 600: SK + 600n, 700: LISTENER, 800: LISTENER + 808n };
  expect(listenerHead([sock({ ...own, [HEAD]: LISTENER + BigInt(HEAD) })])).toBe(HEAD);
});

test("list heads of struct sock, which are made anew, do not count", () => {
  expect(listenerHead([sock({ 64: LISTENER + 64n })])).toBe(0);
});

test("of several socks the first that tells is enough; without any nothing is known", () => {
  const silent = sock({ 800: SK + 800n });
  expect(listenerHead([silent, sock({ [HEAD]: LISTENER + BigInt(HEAD) })])).toBe(HEAD);
  expect(listenerHead([silent, { ...silent, sk: 0n, listener: 0n }])).toBe(0);
  expect(listenerHead([])).toBe(0);
});
