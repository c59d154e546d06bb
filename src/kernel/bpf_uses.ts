/**
 * The parts of the kernel's BPF and perf that the tracer uses, and the mainline release that brought each. Read by the
 * table of docs/kernels.md. test/built/bpf_uses.test.ts holds it against the built files. To add a use, add a row.
 */
import { features, type FeatureName } from "./feature_table.ts";

export interface BpfUse {
  kind:
    | "command"
    | "program type"
    | "map type"
    | "map flag"
    | "helper"
    | "kernel function"
    | "perf attribute";
  name: string;
  /** The mainline release that brought it; see docs/kernels.md for RHEL 7. */
  since: string;
  use: string;
  /** The feature whose row says how the tracer goes on without it. Rows without one are always needed. */
  optional?: FeatureName;
  /** Helpers: the number in enum bpf_func_id. Map types: in enum bpf_map_type. */
  number?: number;
}

export const bpfUses: readonly BpfUse[] = [
  command("BPF_MAP_CREATE", "3.18", "maps are made"),
  command("BPF_PROG_LOAD", "3.18", "programs are loaded"),
  command("BPF_MAP_LOOKUP_ELEM", "3.18", "maps are read"),
  command("BPF_MAP_UPDATE_ELEM", "3.18", "settings are written"),
  command("BPF_MAP_DELETE_ELEM", "3.18", "entries that are over are deleted"),
  command("BPF_MAP_GET_NEXT_KEY", "3.18", "maps are walked", "map_batches"),
  command("BPF_OBJ_GET_INFO_BY_FD", "4.13", "runs that were missed, and run times", "program_info"),
  command("BPF_RAW_TRACEPOINT_OPEN", "4.17", "tracepoint mode", "test_run"),
  command("BPF_BTF_LOAD", "4.18", "libbpf gives the kernel the types of the maps", "program_info"),
  command("BPF_MAP_LOOKUP_AND_DELETE_ELEM", "5.14", "an entry is taken", "take_from_hash"),
  command("BPF_MAP_LOOKUP_BATCH", "5.6", "maps are read many entries at a time", "map_batches"),
  command("BPF_LINK_CREATE", "5.8", "the iterator over TCP sockets", "tcp_iterator"),
  command(
    "BPF_LINK_CREATE",
    "5.7",
    "hooks of the root control group: named ends of UDP, connects",
    "socket_hooks",
  ),
  command("BPF_ITER_CREATE", "5.8", "the iterator over TCP sockets", "tcp_iterator"),
  command("BPF_ENABLE_STATS", "5.8", "the run time of programs", "run_time_stats"),
  command("BPF_PROG_TEST_RUN", "5.10", "programs that only the tracer runs", "test_run"),

  programType("BPF_PROG_TYPE_SOCKET_FILTER", "3.19", "libbpf asks with it what the kernel can"),
  programType(
    "BPF_PROG_TYPE_SCHED_CLS",
    "4.1",
    "entries of conntrack are looked up; never attached",
    "conntrack_lookup",
  ),
  programType("BPF_PROG_TYPE_KPROBE", "4.1", "kprobe mode"),
  programType("BPF_PROG_TYPE_RAW_TRACEPOINT", "4.17", "tracepoint mode", "test_run"),
  programType("BPF_PROG_TYPE_TRACING", "5.9", "the iterator over TCP sockets", "tcp_iterator"),
  programType("BPF_PROG_TYPE_TRACING", "5.12", "functions of TCP and UDP call programs", "fentry"),
  programType(
    "BPF_PROG_TYPE_CGROUP_SOCK_ADDR",
    "5.2",
    "named ends of UDP, connects that fail before a SYN",
    "socket_hooks",
  ),

  mapType("BPF_MAP_TYPE_HASH", 1, "3.19", "connections, sockets, attempts"),
  mapType("BPF_MAP_TYPE_ARRAY", 2, "3.19", "settings, counters, events that wait"),
  mapType("BPF_MAP_TYPE_PERF_EVENT_ARRAY", 4, "4.3", "the rings of each CPU"),
  {
    ...mapType(
      "BPF_MAP_TYPE_PERCPU_ARRAY",
      6,
      "4.6",
      "listeners of new connections, by tracepoints",
    ),
    optional: "test_run",
  },
  {
    ...mapType(
      "BPF_MAP_TYPE_SOCKMAP",
      15,
      "4.14",
      "one connection of the tool's own, at the start",
    ),
    optional: "sockmaps",
  },
  {
    ...mapType("BPF_MAP_TYPE_LRU_HASH", 9, "4.10", "entries of conntrack"),
    optional: "lru_maps",
  },
  {
    kind: "map flag",
    name: "BPF_F_MMAPABLE",
    since: "5.5",
    use: "a batch of events is read without a call",
    optional: "mappable_arrays",
  },

  helper("map_lookup_elem", 1, "3.19"),
  helper("map_update_elem", 2, "3.19"),
  helper("map_delete_elem", 3, "3.19"),
  helper("probe_read", 4, "4.1"),
  helper("ktime_get_ns", 5, "4.1"),
  helper("get_smp_processor_id", 8, "4.1"),
  helper("get_current_pid_tgid", 14, "4.2"),
  helper("get_current_uid_gid", 15, "4.2"),
  helper("get_current_comm", 16, "4.2"),
  helper("perf_event_output", 25, "4.4"),
  helper("get_current_task", 35, "4.8", "current_task"),
  helper("get_current_cgroup_id", 80, "4.18", "current_cgroup_id"),
  helper("probe_read_user", 112, "5.5", "plain_loads"),
  helper("probe_read_kernel", 113, "5.5", "conntrack_lookup"),
  helper("seq_write", 127, "5.7", "tcp_iterator"),
  helper("get_current_task_btf", 158, "5.11", "task_registers"),
  helper("sock_from_file", 162, "5.11", "holder_iterator"),
  helper("task_pt_regs", 175, "5.15", "task_registers"),

  {
    kind: "kernel function",
    name: "bpf_rdonly_cast",
    since: "6.2",
    use: "programs load the kernel's memory",
    optional: "plain_loads",
  },
  {
    kind: "kernel function",
    name: "bpf_skb_ct_lookup",
    since: "5.18",
    use: "an entry of conntrack is looked up",
    optional: "conntrack_lookup",
  },

  perf("PERF_COUNT_SW_BPF_OUTPUT", "4.4", "the rings of each CPU"),
  perf("PERF_EVENT_IOC_SET_BPF", "4.1", "a program is attached to a kprobe"),
  perf("PERF_TYPE_TRACEPOINT", "2.6.31", "a kprobe of tracefs, before 4.17"),
  perf("the kprobe PMU's type", "4.17", "a kprobe without tracefs", "kprobe_pmu"),
];

/** The table as Markdown. */
export function bpfUsesTable(): string {
  const rows = bpfUses.map(({ kind, name, since, use, optional }) => {
    const without = optional === undefined ? "needed" : features[optional].without;
    return `| ${kind} | ${kind === "perf attribute" ? name : `\`${name}\``} | ${since} | ${use} | ${without} |`;
  });
  return ["| kind | name | Linux | use | without it |", "|---|---|---|---|---|", ...rows, ""].join(
    "\n",
  );
}

// --- internal ---

function command(name: string, since: string, use: string, optional?: FeatureName): BpfUse {
  return { kind: "command", name, since, use, ...(optional && { optional }) };
}

function programType(name: string, since: string, use: string, optional?: FeatureName): BpfUse {
  return { kind: "program type", name, since, use, ...(optional && { optional }) };
}

function mapType(name: string, number: number, since: string, use: string): BpfUse {
  return { kind: "map type", name, number, since, use };
}

function helper(name: string, number: number, since: string, optional?: FeatureName): BpfUse {
  return {
    kind: "helper",
    name: `bpf_${name}`,
    number,
    since,
    use: "programs call it",
    ...(optional && { optional }),
  };
}

function perf(name: string, since: string, use: string, optional?: FeatureName): BpfUse {
  return { kind: "perf attribute", name, since, use, ...(optional && { optional }) };
}
