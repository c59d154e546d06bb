/** `trace -r`: names beside numbers, as soon as they are known, and the lines do not wait for them. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { modes } from "./drive/modes.ts";
import * as peer from "./drive/peer.ts";
import { run, Tracer } from "./drive/tracer.ts";

setDefaultTimeout(180_000);

const textOf = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");
/** As this host knows it without asking anybody; without any, nobody else knows one either. */
const loopback = /^127\.0\.0\.1\s+(\S+)/m.exec(textOf("/etc/hosts"))?.[1] ?? null;
const root = /^([^:]+):[^:]*:0:/m.exec(textOf("/etc/passwd"))?.[1] ?? null;

describe.each(modes)("trace --attach %s -r", (mode) => {
  test("the user at once, the other end's name when it is known", async () => {
    const tracer = await Tracer.start(mode, ["-r"]);
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
    for (let n = 0; n < 50 && (await named()).name !== loopback; n++);
    expect(await named()).toMatchObject({ address: "127.0.0.1", name: loopback });
    expect(await tracer.stop()).toBe(0);
  });

  test("it ends in time, whatever is still being asked", async () => {
    const { exitCode, ms } = await run(["trace", "-r", "-c", "1", "-d", "1s", "--attach", mode]);
    expect(exitCode).toBe(0);
    expect(ms).toBeLessThan(60_000);
  });
});
