/**
 * The page of a report in a real browser, where there is one: `chromium` in PATH, or TRACER_BPF_CHROMIUM. Without one
 * test/unit/report.test.ts still runs the page's script.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utc } from "../../src/conn/clock.ts";
import { pageOf } from "../../src/report/contents.ts";
import { Gathering } from "../../src/report/gather.ts";
import { pageHtml } from "../../src/report/html.ts";
import { Tally } from "../../src/summary/tally.ts";
import { eventOf, SECOND } from "../unit/drive/traced_event.ts";

setDefaultTimeout(120_000);

const CONNECTIONS = 100_000;
const BEGIN = 1_764_000_000n * SECOND;
const names = ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"];
const chromium =
  process.env["TRACER_BPF_CHROMIUM"] ??
  names.map((name) => Bun.which(name)).find((at) => at !== null);

test.skipIf(chromium === undefined)(
  "100,000 connections open, and the policy lets the script run",
  async () => {
    const gathering = new Gathering(CONNECTIONS);
    const tally = new Tally("process", 10, (told) => gathering.add(told));
    for (let n = 0; n < CONNECTIONS; n++)
      tally.add(
        eventOf(
          "close",
          0n,
          { sent: BigInt(n), received: 7n },
          {
            comm: n % 50 === 0 ? "</script><b>" : `process-${n % 50}`,
            pid: n % 5_000,
            local: { address: `10.0.${n % 7}.1`, port: 1 + (n % 60_000) },
            remote: { address: `10.1.${n % 250}.2`, port: 443 },
            cookie: n + 1,
          },
        ),
        BEGIN + BigInt(n) * 1_000_000n,
      );
    const about = { name: "day.rec", sessions: [], warnings: [], offsetAt: utc };
    const page = pageOf(tally.summary(), gathering.all, about);
    const directory = mkdtempSync(join(tmpdir(), "tracer-bpf-report-"));
    const file = join(directory, "report.html");
    writeFileSync(
      file,
      pageHtml(page, (text) => Bun.SHA256.hash(text, "base64")),
    );
    const flags = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      `--user-data-dir=${directory}/profile`,
    ];
    const browser = Bun.spawn([chromium!, ...flags, "--dump-dom", `file://${file}`], {
      stdout: "pipe",
      stderr: "ignore",
    });
    const dom = await browser.stdout.text();
    rmSync(directory, { recursive: true, force: true });
    // Milliseconds from the start of the page.
    expect(Number(/<html[^>]* data-ready="(\d+)"/.exec(dom)?.[1])).toBeLessThan(3000);
    expect(dom).toContain('<p class="note">100,000 rows. </p>');
    expect(dom).toContain("<td>&lt;/script&gt;&lt;b&gt;</td>");
  },
);
