import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findImage, images } from "../vm/images.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tracer-bpf-images-"));
  mkdirSync(join(folder, "4.4.155"));
  mkdirSync(join(folder, "empty"));
  writeFileSync(join(folder, "4.4.155/bzImage"), "");
  writeFileSync(join(folder, "4.4.155/vmlinuz-own"), "");
});

afterAll(() => rmSync(folder, { recursive: true }));

test("the name of a kernel of the archive is no path", () => {
  expect(findImage("6.12")).toBeUndefined();
});

test("a folder with an image, and the image itself, are the kernel that the folder is named after", () => {
  const vmlinuz = join(folder, "4.4.155/bzImage");
  for (const path of [vmlinuz, join(folder, "4.4.155"), join(folder, "4.4.155/")])
    expect(findImage(path)).toMatchObject({ vmlinuz, name: "4.4.155" });
});

test("an image with a name of its own keeps it", () => {
  expect(findImage(join(folder, "4.4.155/vmlinuz-own"))?.name).toBe("vmlinuz-own");
});

test("a path that holds no kernel is refused with the reason", () => {
  expect(() => findImage(join(folder, "5.4"))).toThrow("is not there");
  expect(() => findImage(join(folder, "empty"))).toThrow("holds no kernel");
});

test("a folder of kernels gives each that holds an image, and nothing where it is missing", () => {
  expect(images(folder)).toEqual([join(folder, "4.4.155")]);
  expect(images(join(folder, "nowhere"))).toEqual([]);
});
