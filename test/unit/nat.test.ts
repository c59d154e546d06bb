/** The ends of a connection beyond address translation, as the library gives them. */
import { expect, test } from "bun:test";
import { natOf } from "../../src/index.ts";

const [local, remote] = [
  { address: "10.1.1.2", port: 38958 },
  { address: "10.96.0.1", port: 80 },
];
const backend = { address: "10.1.2.2", port: 8080 };
const gateway = { address: "192.0.2.1", port: 1024 };

test("the ends beyond a translation are the translated one and the socket's other one", () => {
  const ends = (nat: { local: typeof local | null; remote: typeof local | null }) =>
    natOf({ local, remote, nat });
  expect(ends({ local: null, remote: backend })).toEqual({ local, remote: backend });
  expect(ends({ local: gateway, remote: null })).toEqual({ local: gateway, remote });
  expect(ends({ local: gateway, remote: backend })).toEqual({ local: gateway, remote: backend });
});

test("they are the socket's where nothing is translated, and not known where that is not known", () => {
  expect(natOf({ local, remote, nat: false })).toEqual({ local, remote });
  expect(natOf({ local, remote, nat: null })).toBeNull();
  expect(natOf({ local, remote })).toBeNull();
});
