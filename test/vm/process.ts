/** Runs a command to its end and gives its standard output; throws with the command and its last words. */
export async function run(command: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([...command], {
    env: { ...process.env, LC_ALL: "C", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) {
    const words = stderr.trim() || stdout.trim();
    throw new Error(`${command[0]} ended with ${code}: ${words.split("\n").slice(-5).join("\n")}`);
  }
  return stdout;
}

/** Runs a shell script with positional arguments, for pipes between programs. */
export function runShell(script: string, ...args: string[]) {
  return run(["bash", "-euo", "pipefail", "-c", script, "bash", ...args]);
}
