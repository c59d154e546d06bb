/** Tests run again only where the kernel itself was silent meanwhile. */

/** Tests of one run that passed, and those that did not. */
export interface Count {
  passed: number;
  failed: number;
  /** Of what failed: named again at the end, since a reader of a long log sees that first. */
  failures: string[];
}

const TIMES = 3;

/**
 * A failure is a failure, unless the witness says that the kernel kept something from everybody meanwhile: then the file runs
 * again, up to three times in all, and says so. `silences`: those since it was asked last.
 */
export async function again(
  file: string,
  run: () => Promise<Count>,
  silences: () => number,
): Promise<Count> {
  for (let time = 1; ; time++) {
    // Silences before this run do not excuse it.
    silences();
    const count = await run();
    const seen = count.failed === 0 ? 0 : silences();
    if (seen === 0 || time === TIMES) return count;
    const failures = count.failures.join("; ");
    console.log(
      `# ${file}: no tracepoint fired at ${seen} changes of a TCP state, for a program of the tests' own either: again after "${failures}"`,
    );
  }
}
