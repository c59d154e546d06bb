/**
 * The commands that a package manager runs beside the files: systemd learns of the unit. Nothing is enabled or started by an
 * installation: nothing is traced that nobody asked for.
 */
import { about } from "./package_files.ts";

const whereSystemdRuns = (command: string): string =>
  `if [ -d /run/systemd/system ]; then systemctl ${command} || true; fi`;

const reload = whereSystemdRuns("daemon-reload");
const restart = whereSystemdRuns(`try-restart ${about.unit}`);
/** Also in a chroot: the links of an enabled unit are files. */
const disable = `if command -v systemctl >/dev/null; then systemctl --no-reload disable --now ${about.unit} >/dev/null 2>&1 || true; fi`;

const when = (condition: string, ...commands: string[]): string =>
  `if [ ${condition} ]; then\n${commands.map((line) => `  ${line}\n`).join("")}fi\n`;

/** By the names of deb-postinst(5) and its like. */
export const debScripts: Readonly<Record<string, string>> = {
  postinst: when(`"$1" = configure`, reload) + when(`"$1" = configure ] && [ -n "$2"`, restart),
  prerm: when(`"$1" = remove`, disable),
  postrm: `${reload}\n`,
};

/** By the sections of a spec file. The new package's come before the old one's. */
export const rpmScripts: Readonly<Record<string, string>> = {
  post: `${reload}\n`,
  preun: when(`"$1" -eq 0`, disable),
  postun: `${reload}\n${when(`"$1" -ge 1`, restart)}`,
};
