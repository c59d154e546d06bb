// bun run test:vm KERNEL [FILE...]: boots one kernel and runs test files in it.
import { parseArgs } from "node:util";
import { runInGuest } from "./lab.ts";
import { installTools } from "./tools.ts";

const usage = `usage: bun run test:vm KERNEL [FILE...] [options]

  KERNEL   6.12, 6.12-rt, 6.12-generic, 6.1-arm64, newest, newest-rt, ...
           or a path: of a kernel image, or of a folder that holds one
  FILE     a test file; without any, every test/kernel/*.test.ts

  -t, --test-name-pattern TEXT   only tests whose names match
  --env NAME=VALUE               a variable for the guest, may be repeated
  --shell COMMAND                runs this in the guest's shell instead of tests
  --netfilter                    brings modules and programs that translate addresses: nft, iptables, conntrack, ip
  --binary FILE                  the executable to test (default: the one in dist)
  --keep-log FILE                where to leave a copy of the whole console log
  --timeout SECONDS              for the whole guest (default: until it ends, or says nothing for 15 minutes)
  --verbose                      shows the kernel's boot messages too

  VM_CPUS=1, VM_JIT=0|1, VM_ENTROPY=0, VM_APPEND=TEXT in the environment: processors, BPF's compiler,
  a guest without random numbers, more of the kernel's command line`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    allowPositionals: true,
    options: {
      "test-name-pattern": { type: "string", short: "t" },
      env: { type: "string", multiple: true, default: [] },
      shell: { type: "string" },
      netfilter: { type: "boolean" },
      binary: { type: "string" },
      "keep-log": { type: "string" },
      timeout: { type: "string" },
      verbose: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [kernel, ...files] = positionals;
  if (values.help || kernel === undefined) {
    console.error(usage);
    return values.help ? 0 : 2;
  }
  installTools();
  let ready = values.verbose;
  const outcome = await runInGuest({
    kernel,
    files,
    pattern: values["test-name-pattern"],
    shell: values.shell,
    netfilter: values.netfilter,
    binary: values.binary,
    keepLog: values["keep-log"],
    timeoutSeconds: values.timeout === undefined ? undefined : Number(values.timeout),
    env: Object.fromEntries(values.env.map(splitVariable)),
    onLine: (line) => {
      if (values.verbose || (ready && !line.startsWith("@@"))) console.log(line);
      if (line.startsWith("@@ ready")) ready = true;
      if (line.startsWith("@@ done")) ready = values.verbose;
    },
  });
  for (const remark of outcome.remarks) console.error(`vm: ${remark}`);
  const booted =
    outcome.bootSeconds === undefined ? "never ready" : `ready after ${outcome.bootSeconds} s`;
  console.error(
    `vm: ${kernel} (${outcome.release}): ${outcome.passed} passed, ${outcome.failed} failed, ` +
      `${outcome.seconds.toFixed(1)} s, ${booted}; log: ${outcome.logFile}`,
  );
  return outcome.state === "ran" && outcome.failed === 0 ? 0 : 1;
}

function splitVariable(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error(`--env ${text}: expected NAME=VALUE`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

// An open pipe of a guest must not keep a finished run alive.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
process.exit(
  await main().catch((error: Error) => {
    console.error(`vm: ${error.message}`);
    return 2;
  }),
);
