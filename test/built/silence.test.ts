/** The witness of the kernel tests, driven by what it would see of a kernel that keeps something from it. */
import { afterAll, expect, test } from "bun:test";
import { mapDumper } from "../../src/kernel/map_dump.ts";
import { openShim } from "../../src/kernel/shim.ts";
import { openWitness } from "../silence/silence.ts";

const witness = openWitness()!;
const shim = openShim();
const [TCP_FIN_WAIT1, TCP_LAST_ACK] = [4, 9];

afterAll(() => witness[Symbol.dispose]());

const listen = () => Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });

/** struct followed, as the kernel would have it of a sock whose last known state is this. */
const followed = (state: number, num: number, dport: number): Uint8Array => {
  const value = new DataView(new ArrayBuffer(8));
  value.setUint32(0, state, true);
  value.setUint16(4, num, true);
  value.setUint16(6, dport, false);
  return new Uint8Array(value.buffer);
};

test("a change from another state than the last one that was told counts", () => {
  const listener = listen();
  const { count, view } = mapDumper(shim, witness.socks, 8, 8)();
  const at = Array.from({ length: count }, (_, n) => n * 16).find(
    (p) => view.getUint16(p + 12, true) === listener.port,
  )!;
  witness.silences();
  const sk = BigUint64Array.of(view.getBigUint64(at, true));
  shim.mapUpdate(witness.socks, sk, followed(TCP_FIN_WAIT1, listener.port, 0));
  listener.stop(true);
  expect(witness.silences()).toBe(1);
});

test("a sock that is in no table, and whose end was not told, counts once", () => {
  const freed = listen();
  freed.stop(true);
  witness.silences();
  shim.mapUpdate(
    witness.socks,
    BigUint64Array.of(1n),
    followed(TCP_LAST_ACK, freed.port, freed.port),
  );
  expect(witness.silences()).toBe(1);
  expect(witness.silences()).toBe(0);
});
