/** `trace -r`: names beside numbers, as soon as they are known, and the lines do not wait for them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import * as k from "../../src/kernel/constants.ts";
import * as libc from "../../src/kernel/libc.ts";
import { sockaddr } from "../../src/kernel/sockaddr.ts";
import { startGuessed } from "./drive/guessed.ts";
import { tracesUdp } from "./drive/datagrams.ts";
import { linuxAtLeast, type Mode, modes, sparing } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { addressQuery, nameServer } from "./drive/name_server.ts";
import { eventually, place, run } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const textOf = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");
/** As this host knows it without asking anybody; without any, nobody else knows one either. */
const loopback = /^127\.0\.0\.1\s+(\S+)/m.exec(textOf("/etc/hosts"))?.[1] ?? null;
const root = /^([^:]+):[^:]*:0:/m.exec(textOf("/etc/passwd"))?.[1] ?? null;

/** See what docs/kernels.md says of protocols of UDP flows. */
const seesDatagrams = (mode: Mode) =>
  linuxAtLeast(5, 10) &&
  (mode === "kprobe" || (tracesUdp(mode) && existsSync("/sys/kernel/btf/vmlinux")));

/** Where no name server of the host listens. */
const DNS = { address: "127.0.0.77", port: 53 };

describe.each(modes)("trace --attach %s -r", (mode) => {
  test("the user at once, the other end's name when it is known", async () => {
    const tracer = await startGuessed(mode, ["-r"]);
    const named = async () => {
      const { client, server } = peer.pair();
      client.close();
      server.close();
      const event = await tracer.take("connect", client.truth);
      expect(event).toMatchObject({ uid: 0, user: root });
      return event.remote;
    };
    const first = await named();
    expect(first).toHaveProperty("name");
    await eventually("name of the host", async () => (await named()).name === loopback);
    expect(await named()).toMatchObject({ address: "127.0.0.1", name: loopback });
    expect(await tracer.stop()).toBe(0);
  });

  // Names are found in user space, in every mode alike.
  test.skipIf(sparing)(
    "no line waits for a name server; the lines after its answer have the name",
    async () => {
      const { promise: shown, resolve: show } = Promise.withResolvers<void>();
      using server = await nameServer(["web", "example"], { ...DNS, until: shown });
      const tracer = await startGuessed(mode, ["-r"], place(`name-server ${DNS.address}`));
      const { client, server: accepted } = peer.pair();
      const before = await tracer.take("connect", client.truth);
      expect(before.remote).toMatchObject({ address: "127.0.0.1", name: null });
      while (server.asked === 0) await Bun.sleep(10);
      show();
      await eventually("line with the name", async () => {
        const again = peer.pair();
        for (const end of [again.client, again.server]) end.close();
        const { remote } = await tracer.take("connect", again.client.truth);
        return remote.name !== null;
      });
      for (const end of [client, accepted]) end.close();
      expect((await tracer.take("close", client.truth)).remote.name).toBe("web.example");
      expect(await tracer.stop()).toBe(0);
    },
  );

  test.skipIf(!seesDatagrams(mode))(
    "an address has the name under which a program has found it",
    async () => {
      const address = "127.0.0.79";
      using _server = await nameServer(["ptr", "example"], { ...DNS, found: address });
      const tracer = await startGuessed(mode, ["-r"]);
      // The runtime's own sockets receive by recvmmsg(2), whose buffers are not read with tracepoints.
      const asking = libc.socket(k.AF_INET, k.SOCK_DGRAM, 0);
      expect(libc.connect(asking, sockaddr(DNS.address, DNS.port))).toBe(0);
      libc.send(asking, addressQuery("shop.example"), 0);
      while (libc.recv(asking, new Uint8Array(512), k.MSG_DONTWAIT) < 0) await Bun.sleep(1);
      libc.close(asking);
      const listener = new peer.Listener(address);
      // As long as older sockets are listed, what flows tell waits, and connections do not.
      const found = await eventually("line with the name", async () => {
        const client = peer.dial(address, listener.port);
        const { remote } = await tracer.take("connect", client.truth);
        client.close();
        return remote.name !== null && remote;
      });
      expect(found).toMatchObject({ address, name: "shop.example", name_source: "answer" });
      listener.close();
      expect(await tracer.stop()).toBe(0);
    },
  );

  test.skipIf(sparing)("it ends in time, whatever is still being asked", async () => {
    const { exitCode, ms } = await run(["trace", "-r", "-c", "1", "-d", "1s", "--attach", mode]);
    expect(exitCode).toBe(0);
    expect(ms).toBeLessThan(60_000);
  });
});
