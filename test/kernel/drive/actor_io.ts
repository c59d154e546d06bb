/** How an actor and its starter talk: JSON lines on stdout, lines on stdin. Any thread of the actor can. */
import { writeSync } from "node:fs";
import * as libc from "../../../src/kernel/libc.ts";
import { check } from "./peer.ts";

export function say(value: unknown): void {
  writeSync(1, `${JSON.stringify(value)}\n`);
}

/** Blocks until the starter sends a line or goes away. */
export function awaitGo(): boolean {
  return check(libc.read(0, new Uint8Array(16)), "stdin") > 0;
}
