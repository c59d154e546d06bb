/** The kernels that the tracer was run on. README.md, docs/kernels.md and `check` name them. To add one, add it here and there. */
export const KERNELS_TRIED =
  "RHEL 7.9's 3.10, 4.4.155, 4.14.67, RHEL 8.1's 4.18, 5.4.273, and 5.10 to 7.3";

/** From here on the archive of the lab has each release. */
export const TRIED_SINCE = "5.10";
