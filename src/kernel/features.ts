/** Asks the running kernel for the rows of the feature table, each once and only when it is needed. */
import { featureNames, features, type FeatureName } from "./feature_table.ts";
import { isAtLeast } from "./release.ts";
import type { Shim } from "./shim.ts";

export interface Features {
  has(name: FeatureName): boolean;
  /** The optional helpers of the programs that this kernel has, by number in enum bpf_func_id. */
  helpers(): ReadonlySet<number>;
  /** Of the features that can be asked for, those that this kernel lacks. */
  missing(): FeatureName[];
  /** One line for each row of the table: which way this kernel is traced. */
  ways(): string[];
}

export function askFeatures(shim: Shim, release: string): Features {
  const known = new Map<FeatureName, boolean>();
  const has = (name: FeatureName): boolean => {
    const answer = known.get(name) ?? ask(shim, release, name);
    known.set(name, answer);
    return answer;
  };
  return {
    has,
    helpers: () =>
      new Set(
        featureNames.flatMap((name) => {
          const { helper } = features[name];
          return helper !== undefined && has(name) ? [helper] : [];
        }),
      ),
    missing: () => featureNames.filter((name) => isAsked(name) && !has(name)),
    ways: () => featureNames.map((name) => `${name}: ${wayOf(name, has)}`),
  };
}

// --- internal ---

const isAsked = (name: FeatureName): boolean =>
  features[name].ask !== undefined || features[name].helper !== undefined;

function wayOf(name: FeatureName, has: (name: FeatureName) => boolean): string {
  const { since, asked, without } = features[name];
  if (!isAsked(name)) return `not asked beforehand; how it is asked: ${asked}`;
  return has(name) ? `there, the way of Linux ${since}` : `not there (Linux ${since}): ${without}`;
}

/** For tests: features, by name, that are not there, so that the way without them is tried on newer kernels too. */
const SWITCHED_OFF: ReadonlySet<string> = new Set(
  process.env["TRACER_BPF_WITHOUT"]?.split(",") ?? [],
);

function ask(shim: Shim, release: string, name: FeatureName): boolean {
  if (SWITCHED_OFF.has(name)) return false;
  const { since, helper, ask: answer } = features[name];
  if (helper !== undefined && !shim.hasHelper(helper)) return false;
  return answer === undefined ? true : (answer(shim) ?? isAtLeast(release, since));
}
