/** The flags of how tokens are drawn. */
import { UsageError } from '../errors.js';
import type { SamplingOptions } from '../generate/index.js';
import { numberFlag } from './flags.js';

/** How tokens are drawn, as commander gives it. */
export interface SamplingFlags {
  maxNewTokens: string;
  temperature: string;
  topK?: string | undefined;
  topP?: string | undefined;
  seed: string;
}

/** What the flags say. Errors: UsageError for a value that is not allowed, and for one without effect. */
export function samplingOf(flags: SamplingFlags): SamplingOptions & { maxNewTokens: number; seed: number } {
  const given = (flag: string, text: string | undefined, rule: Parameters<typeof numberFlag>[2]) =>
    text === undefined ? undefined : numberFlag(flag, text, rule);
  const options = {
    maxNewTokens: numberFlag('--max-new-tokens', flags.maxNewTokens, { integer: true, min: 1 }),
    temperature: numberFlag('--temperature', flags.temperature, {}),
    topK: given('--top-k', flags.topK, { integer: true, min: 1 }),
    topP: given('--top-p', flags.topP, { above: true, max: 1 }),
    seed: numberFlag('--seed', flags.seed, { integer: true, max: Number.MAX_SAFE_INTEGER }),
  };
  if (options.temperature === 0) {
    if (options.topK !== undefined) throw new UsageError(`--top-k ${greedy}`);
    if (options.topP !== undefined) throw new UsageError(`--top-p ${greedy}`);
  }
  return options;
}

/** Why another option means nothing. */
export const greedy = 'has no effect with --temperature 0, which always takes the most probable token';

/** The strings that end a text. Errors: UsageError. */
export function stopStringsOf(stop: readonly string[]): readonly string[] {
  if (stop.includes('')) throw new UsageError('--stop: "" is not allowed; it would end every text at once');
  return stop;
}
