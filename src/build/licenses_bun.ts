/** Libraries that Bun links statically, if process.versions names their revision; Bun's LICENSE.md has the rest. */
export const INSIDE_BUN: readonly {
  /** In process.versions. */
  key: string;
  title: string;
  spdx: string;
  remark?: string;
  /** Of /usr/share/common-licenses. */
  texts?: readonly string[];
}[] = [
  {
    key: "webkit",
    title: "JavaScriptCore and other parts of WebKit",
    spdx: "LGPL-2.0-or-later",
    remark: "sources: https://github.com/oven-sh/WebKit at this revision",
    texts: ["LGPL-2"],
  },
  { key: "tinycc", title: "TinyCC", spdx: "LGPL-2.1-or-later", texts: ["LGPL-2.1"] },
  { key: "boringssl", title: "BoringSSL", spdx: "several, named in its LICENSE" },
  { key: "libarchive", title: "libarchive", spdx: "several, named in its COPYING" },
  { key: "mimalloc", title: "mimalloc", spdx: "MIT" },
  { key: "picohttpparser", title: "picohttpparser", spdx: "MIT OR Artistic-1.0-Perl" },
  { key: "uwebsockets", title: "uWebSockets, with Bun's changes", spdx: "Apache-2.0" },
  { key: "usockets", title: "uSockets, with Bun's changes", spdx: "Apache-2.0" },
  { key: "zlib", title: "zlib-ng", spdx: "Zlib" },
  { key: "zstd", title: "zstd", spdx: "BSD-3-Clause OR GPL-2.0-only" },
  { key: "lolhtml", title: "lol-html", spdx: "BSD-3-Clause" },
  { key: "ares", title: "c-ares", spdx: "MIT" },
  { key: "libdeflate", title: "libdeflate", spdx: "MIT" },
  { key: "lshpack", title: "ls-hpack", spdx: "MIT" },
  { key: "icu", title: "ICU", spdx: "Unicode-3.0" },
];
