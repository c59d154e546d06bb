// Kernel images that are given by path, for kernels that no archive has any more.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { CachedKernel } from "./fetch.ts";
import { repository } from "./initramfs.ts";

/** Where `npm test` looks for them: each in a folder of its own, named after the kernel. */
export const imageFolder = process.env["VM_KERNELS"] || join(repository, "../shared/kernels");

// In the order of preference, should a folder hold several.
const imageNames = ["bzImage", "vmlinuz", "Image"];

export type Image = Pick<CachedKernel, "vmlinuz" | "release" | "note" | "module"> & {
  name: string;
};

/**
 * The kernel at a path: an image, or a folder that holds one. Undefined where the text is the name of a kernel of the
 * archive rather than a path. Throws where the path holds no image.
 */
export function findImage(text: string): Image | undefined {
  if (!text.includes("/")) return undefined;
  if (!existsSync(text)) throw new Error(`${text} is not there: give a kernel image or its folder`);
  const vmlinuz = statSync(text).isDirectory() ? imageIn(text) : text;
  if (vmlinuz === undefined) {
    throw new Error(`${text} holds no kernel: looked for ${imageNames.join(", ")}`);
  }
  // One kernel after another has the same file name: its folder tells them apart.
  const name = imageNames.includes(basename(vmlinuz))
    ? basename(dirname(vmlinuz))
    : basename(vmlinuz);
  return { vmlinuz, name, release: "" };
}

/** The folders of `imageFolder` that hold a kernel, as paths; none where the folder is not there. */
export function images(folder = imageFolder): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .toSorted()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isDirectory() && imageIn(path) !== undefined);
}

function imageIn(folder: string): string | undefined {
  return imageNames.map((name) => join(folder, name)).find((path) => existsSync(path));
}
