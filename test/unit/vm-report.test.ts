import { expect, test } from "bun:test";
import { failedLines, readReport } from "../vm/report.ts";

const ready = "[    3.4] Freeing unused kernel image\n@@ ready 3.91 6.1.0-56-cloud-amd64\n";
const summary = (pass: number, fail: number) =>
  ` ${pass} pass\n ${fail} fail\n Ran them all. [1s]\n`;

test("counts of several files add up and the release is known", () => {
  const log = `${ready}@@ file a\n${summary(3, 0)}@@ exit 0 a 4\n@@ file b\n 1 skip\n${summary(4, 0)}@@ exit 0 b 61\n@@ done 9\n`;
  expect(readReport(log)).toEqual({
    release: "6.1.0-56-cloud-amd64",
    bootSeconds: 3.91,
    passed: 7,
    failed: 0,
    skipped: 1,
    files: [
      { name: "a", seconds: 4 },
      { name: "b", seconds: 61 },
    ],
    failures: [],
    problems: [],
    complaints: [],
    done: true,
  });
});

test("failed tests are counted once, not again for the exit status", () => {
  const report = readReport(`${ready}@@ file a\n${summary(3, 2)}@@ exit 1 a\n@@ done 9\n`);
  expect(report).toMatchObject({ passed: 3, failed: 2, problems: [] });
});

test("a test that failed is named with its file, and shown with what was printed for it", () => {
  const log = `${ready}@@ file a\n(pass) one\nerror: of two\n(fail) two [3.1ms]\n(pass) three [1ms]\n1 tests failed:\n(fail) two [3.1ms]\n${summary(2, 1)}@@ exit 1 a 4\n@@ file b\n(pass) four\n@@ done 9\n`;
  expect(readReport(log).failures).toEqual(["a: two"]);
  expect(failedLines(log)).toEqual(["error: of two", "(fail) two [3.1ms]"]);
});

test("a file that hung is a failure, and told as one", () => {
  const report = readReport(`${ready}@@ file a\n(pass) one\n@@ exit hung a 702\n@@ done 9\n`);
  expect(report).toMatchObject({
    failed: 1,
    problems: ["a ended with nothing said for so long that it hangs, and was killed"],
  });
});

test("a file that crashed after its summary is a failure", () => {
  const report = readReport(`${ready}@@ file a\n${summary(3, 0)}@@ exit 139 a\n@@ done 9\n`);
  expect(report).toMatchObject({ failed: 1, problems: ["a ended with 139: it crashed"] });
});

test("a file that was killed before its summary is a failure", () => {
  const report = readReport(`${ready}@@ file a\n(pass) one\n@@ exit 137 a\n@@ done 9\n`);
  expect(report).toMatchObject({ passed: 0, failed: 1 });
});

test("a file without a test is a failure", () => {
  const report = readReport(`${ready}@@ file a\n${summary(0, 0)}@@ exit 0 a\n@@ done 9\n`);
  expect(report).toMatchObject({ failed: 1, problems: ["a ran no test"] });
});

test("a log that breaks off is not done, and a panic is a complaint", () => {
  const report = readReport(`${ready}@@ file a\n[ 9.1] Kernel panic - not syncing: Fatal\n`);
  expect(report.done).toBe(false);
  expect(report.complaints).toEqual(["[ 9.1] Kernel panic - not syncing: Fatal"]);
});

test("what the guest's kernel log said of bugs is kept", () => {
  const report = readReport(`${ready}@@ dmesg [ 5.1] WARNING: CPU: 0 PID: 9\n@@ done 9\n`);
  expect(report.complaints).toEqual(["[ 5.1] WARNING: CPU: 0 PID: 9"]);
});

test("a shell command's failure is a failure", () => {
  const report = readReport(`${ready}@@ shell 3\n@@ done 9\n`);
  expect(report).toMatchObject({ failed: 1, problems: ["the command ended with 3"] });
});
