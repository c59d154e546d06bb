// Debian's packages that guests and tests are made of. To add one, write its name: no dependency comes by itself.

/** In every guest. */
export const guestPackages = ["libc6", "busybox-static"] as const;

/** In guests that translate addresses: programs, and the libraries that these need. */
export const netfilterPackages = [
  ...["nftables", "libnftables1", "libnftnl11", "libmnl0", "libgmp10", "libjansson4", "libedit2"],
  ...["libtinfo6", "libbsd0", "libmd0"],
  ...[
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
  ],
  ...[
    "conntrack",
    "iproute2",
    "libbpf1",
    "libelf1",
    "zlib1g",
    "libcap2",
    "libselinux1",
    "libpcre2-8-0",
  ],
  ...["ipvsadm", "libnl-3-200", "libnl-genl-3-200", "libpopt0"],
] as const;

/** In the guest that systemd begins: its first process, its journal, and the libraries that these need. */
export const systemdPackages = [
  ...[
    "systemd",
    "libsystemd-shared",
    "libmount1",
    "libblkid1",
    "libseccomp2",
    "libcap2",
    "libcap-ng0",
  ],
  ...["libkmod2", "liblz4-1", "liblzma5", "libzstd1", "libssl3", "libgcrypt20", "libgpg-error0"],
  ...["libacl1", "libapparmor1", "libaudit1", "libpam0g", "libselinux1", "libpcre2-8-0"],
  ...["libcrypt1", "libip4tc2"],
] as const;

/** No guest has these: `test/built/engines.test.ts` runs them on the host. Other libraries are on every Debian. */
export const enginePackages = [
  ...["prometheus", "prometheus-node-exporter"],
  ...["rsyslog", "libestr0", "libfastjson4"],
  ...["clickhouse-server", "clickhouse-common", "libcapnp-0.9.2", "libcctz2", "libfarmhash0"],
  ...["libmetrohash1", "libre2-9", "librdkafka1", "libdouble-conversion3", "libcpuinfo0"],
  ...["libmariadb3", "libpcre3", "libodbc2", "libltdl7", "libjemalloc2", "libicu72", "liblz4-1"],
  ...["libboost-filesystem1.74.0", "libboost-program-options1.74.0"],
  ...["foundation", "crypto", "data", "dataodbc", "json", "mongodb"].map(
    (name) => `libpoco${name}80`,
  ),
  ...["net", "netssl", "util", "xml"].map((name) => `libpoco${name}80`),
] as const;

/** On the host too: takes metrics of OTLP, which the one of the fixed release does not yet. */
export const receiverPackages = ["victoria-metrics"] as const;
