import { eventSchema } from "../output/schema.ts";
import { print } from "../output/writer.ts";
import { command } from "./command.ts";

export const schemaCommand = command({
  description: "print the JSON Schema of the lines of trace --json",
  examples: ["tracer-bpf schema > event.schema.json"],
  flags: {},
  run: () => print(`${JSON.stringify(eventSchema(), null, 2)}\n`),
});
