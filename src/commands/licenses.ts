import { readFileSync } from "node:fs";
import { notice } from "../embedded.ts";
import { print } from "../output/writer.ts";
import { command } from "./command.ts";

export const licensesCommand = command({
  description: "print the components of the executable, with their licences",
  examples: ["tracer-bpf licenses | less"],
  flags: {},
  run: () => print(readFileSync(notice, "utf8")),
});
