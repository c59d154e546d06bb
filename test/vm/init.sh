#!/bin/busybox sh
# The guest's first process: mounts what a host has, runs /job, and ends the machine. In the guest that systemd begins,
# systemd takes its place once that is mounted, and runs it again for the job.
export PATH=/bin HOME=/root TMPDIR=/tmp NO_COLOR=1

set_up() {
	/bin/busybox mkdir -p /proc /sys /dev /tmp /root /run /etc
	/bin/busybox --install -s /bin

	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs devtmpfs /dev
	mkdir -p /dev/pts /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t tmpfs tmpfs /tmp
	mount -t debugfs debugfs /sys/kernel/debug
	# Old kernels lack some of these, and then the place to mount them at too.
	optional() {
		[ -d "$3" ] && mount -t "$1" "$2" "$3" 2>/dev/null
	}
	optional tracefs tracefs /sys/kernel/tracing
	optional securityfs securityfs /sys/kernel/security
	optional cgroup2 cgroup2 /sys/fs/cgroup || {
		# Before 4.5 control groups are of version 1, one mount per controller.
		mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir /sys/fs/cgroup/cpu /sys/fs/cgroup/pids
		mount -t cgroup -o cpu cgroup /sys/fs/cgroup/cpu
		mount -t cgroup -o pids cgroup /sys/fs/cgroup/pids
	}
	optional bpf bpf /sys/fs/bpf
	ip link set lo up
}
[ "$1" = job ] || set_up

# From here the console belongs to the job; kernel messages are read from the log at the end.
dmesg -n 1
. /job/env
[ -z "$LAB_SYSTEMD" ] || [ "$1" = job ] || exec /lib/systemd/systemd --unit=lab.service --log-target=kmsg
# The end of a kprobe waits for RCU several times, a trace has some twenty of them, and a test file starts many traces.
[ -z "$LAB_HURRY" ] || echo 1 >/sys/kernel/rcu_expedited
[ -z "$LAB_JIT" ] || echo "$LAB_JIT" >/proc/sys/net/core/bpf_jit_enable
echo "@@ ready $(cut -d' ' -f1 /proc/uptime) $(uname -r)"

# Nobody may be left to end this machine, should the lab itself be killed.
(sleep "$LAB_ORPHANED_SECONDS"; echo "@@ out of time"; reboot -f) </dev/null >/dev/console 2>&1 &

# Ends a file that says nothing for longer than any test may take, so that the others still run. A slow one goes on.
mkfifo /run/said
run_test() {
	file=$1
	shift
	echo "@@ file $file"
	started=$(cut -d. -f1 /proc/uptime)
	(BUN_BE_BUN=1 /tracer-bpf test "$@" "./$file"; echo "@@ ended $?") </dev/null >/run/said 2>&1 &
	status=hung
	while IFS= read -r -t "$LAB_SILENT_SECONDS" line; do
		case $line in "@@ ended "*) status=${line#@@ ended }; break ;; esac
		printf '%s\n' "$line"
	done </run/said
	# Nothing that a file started may meet the next file.
	killall -q -9 tracer-bpf
	echo "@@ exit $status $file $(($(cut -d. -f1 /proc/uptime) - started))"
}

cd /
. /job/run

# A kernel that complains has found a bug in what ran, even if every test passed.
dmesg | grep -E -A 25 '(BUG|WARNING|Oops|general protection fault|blocked for more than)[: ]' |
	head -n 120 | sed 's/^/@@ dmesg /'
echo "@@ done $(cut -d' ' -f1 /proc/uptime)"
reboot -f
