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
  };
}

// --- internal ---

const isAsked = (name: FeatureName): boolean =>
  features[name].ask !== undefined || features[name].helper !== undefined;

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
