/** The helpers that Linux 4.4 gives to kprobe programs. */

/**
 * key and memory of a map's key_size and value_size; `buffer` is followed by the `size` of it. All
 * memory is on the stack and has been written, also what the helper is going to overwrite.
 */
export type Argument = "map" | "key" | "value" | "buffer" | "size" | "context" | "number";

export interface Helper {
  name: string;
  arguments: readonly Argument[];
  returns: "number" | "value or null" | "nothing";
}

const helper = (name: string, args: string, returns: Helper["returns"] = "number"): Helper => ({
  name,
  arguments: args.split(" ").filter(Boolean) as Argument[],
  returns,
});

/** By number in enum bpf_func_id. 7, get_prandom_u32, is for sockets only before 4.10. */
export const HELPERS: ReadonlyMap<number, Helper> = new Map([
  [1, helper("map_lookup_elem", "map key", "value or null")],
  [2, helper("map_update_elem", "map key value number")],
  [3, helper("map_delete_elem", "map key")],
  [4, helper("probe_read", "buffer size number")],
  [5, helper("ktime_get_ns", "")],
  [6, helper("trace_printk", "buffer size")],
  [8, helper("get_smp_processor_id", "")],
  [12, helper("tail_call", "context map number", "nothing")],
  [14, helper("get_current_pid_tgid", "")],
  [15, helper("get_current_uid_gid", "")],
  [16, helper("get_current_comm", "buffer size")],
  [22, helper("perf_event_read", "map number")],
  [25, helper("perf_event_output", "context map number buffer size")],
]);

export const PERF_EVENT_ARRAY = 4;

/** Perf event arrays are for these and these are for perf event arrays; by number. */
export const PERF_HELPERS: ReadonlySet<number> = new Set([22, 25]);
