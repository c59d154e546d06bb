import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

test("package-lock.json names no host: it works with whatever registry npm is set up for", () => {
  expect(readFileSync("package-lock.json", "utf8").match(/https?:\/\/[^"]*\.tgz/g)).toBeNull();
  expect(readFileSync("package-lock.json", "utf8")).not.toContain('"resolved"');
});

test("dependencies are pinned to exact versions", () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const versions = Object.values({ ...dependencies, ...devDependencies });
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});
