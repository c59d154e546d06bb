/** A sockmap whose program moves what one sock sends right into another, past TCP. */
import { ptr } from "bun:ffi";
import { RLIMIT_MEMLOCK } from "../../../src/kernel/constants.ts";
import * as libc from "../../../src/kernel/libc.ts";

const [MAP_CREATE, MAP_UPDATE_ELEM, PROG_LOAD, PROG_ATTACH] = [0, 2, 5, 8];
const BPF_MAP_TYPE_SOCKMAP = 15;
const BPF_PROG_TYPE_SK_MSG = 16;
const BPF_SK_MSG_VERDICT = 7;
const BPF_FUNC_msg_redirect_map = 60;
const BPF_F_INGRESS = 1;
const NO_LIMIT = (1n << 64n) - 1n;
/** The slot of the sock that gets everything. */
const RECEIVER = 1;

/** From `sender` to `receiver`, descriptors of connected sockets. Linux 4.18 and later. */
export function redirect(sender: number, receiver: number): Disposable {
  // Before 5.11 a map counts against it.
  libc.setrlimit(0, RLIMIT_MEMLOCK, { soft: NO_LIMIT, hard: NO_LIMIT });
  const map = call(MAP_CREATE, (attr) =>
    [BPF_MAP_TYPE_SOCKMAP, 4, 4, 2].forEach((value, n) => attr.setUint32(4 * n, value, true)),
  );
  const program = loadProgram(map);
  call(PROG_ATTACH, (attr) =>
    [map, program, BPF_SK_MSG_VERDICT].forEach((value, n) => attr.setUint32(4 * n, value, true)),
  );
  put(map, 0, sender);
  put(map, RECEIVER, receiver);
  return {
    [Symbol.dispose]() {
      libc.close(program);
      libc.close(map);
    },
  };
}

// --- internal ---

function call(command: number, fill: (attr: DataView) => void): number {
  const attr = new Uint8Array(128);
  fill(new DataView(attr.buffer));
  const result = libc.bpf(command, attr);
  if (result < 0) throw new Error(`bpf(${command}): ${libc.errnoName(result)}`);
  return result;
}

/** return bpf_msg_redirect_map(msg, &map, RECEIVER, BPF_F_INGRESS); the context is in r1 already. */
function loadProgram(map: number): number {
  const r2ToR4 = [2, 3, 4] as const;
  const instructions = [
    instruction(0x18, r2ToR4[0] | (1 << 4), map),
    instruction(0, 0, 0),
    instruction(0xb7, r2ToR4[1], RECEIVER),
    instruction(0xb7, r2ToR4[2], BPF_F_INGRESS),
    instruction(0x85, 0, BPF_FUNC_msg_redirect_map),
    instruction(0x95, 0, 0),
  ];
  const code = Buffer.concat(instructions);
  const license = Buffer.from("GPL\0");
  return call(PROG_LOAD, (attr) => {
    attr.setUint32(0, BPF_PROG_TYPE_SK_MSG, true);
    attr.setUint32(4, instructions.length, true);
    attr.setBigUint64(8, BigInt(ptr(code)), true);
    attr.setBigUint64(16, BigInt(ptr(license)), true);
  });
}

function instruction(opcode: number, registers: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(registers, 1);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

function put(map: number, slot: number, fd: number): void {
  const [key, value] = [Uint32Array.of(slot), Uint32Array.of(fd)];
  call(MAP_UPDATE_ELEM, (attr) => {
    attr.setUint32(0, map, true);
    attr.setBigUint64(8, BigInt(ptr(key)), true);
    attr.setBigUint64(16, BigInt(ptr(value)), true);
  });
}
