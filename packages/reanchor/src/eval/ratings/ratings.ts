/** Absolute ratings of answers, and the probability that one model improves on another. */
import { UserError } from '../../errors.js';
import { requireWritable, writeJsonl } from '../../formats/index.js';
import { uniforms } from '../../random.js';
import {
  clusterBootstrap,
  clustersOf,
  type Improvement,
  type Interval,
  mean,
  probabilityOfImprovement,
} from '../../stats/index.js';
import { readAnswerSets } from '../answer-sets.js';
import { characters } from '../answers.js';
import { mapConcurrently } from '../judge/gate.js';
import { type Criterion, criteria } from '../judge/templates.js';
import { promptText } from '../prompts.js';
import type { Rater, Ratings } from './rater.js';

/** What {@link rateAnswers} rates, by whom, and how its intervals are drawn. */
export interface RatingsOptions {
  /** Files of answers, `file` or `name=file`. */
  answers: readonly string[];
  rater: Rater;
  sample?: number | undefined;
  seed?: number | undefined;
  level?: number | undefined;
  /** Of the bootstrap; default 2,000. */
  resamples?: number | undefined;
  /** The JSONL file of ratings, one line an answer. */
  out?: string | undefined;
  concurrency: number;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

interface RatedModel {
  model: string;
  /** Answers with a rating, the prompts they are to, and answers without one. */
  rated: number;
  prompts: number;
  unparsed: number;
  /** Mean length of the rated answers in characters: longer answers tend to be rated higher. */
  meanLength: number;
  /** Mean rating of each criterion with its bootstrap interval; `mean` is that of all criteria. */
  means: Record<Criterion | 'mean', { rating: number } & Interval>;
}

interface ImprovementOf {
  model: string;
  over: string;
  /** Of each criterion; `all` is the mean of the five. Their intervals draw prompts, which `clusters` counts. */
  improvement: Record<Criterion | 'all', Improvement>;
}

/** The ratings of models on the prompts that all of them answered. */
export interface RatingsResult {
  /** All models, in the order of their files. */
  names: string[];
  prompts: number;
  /** Per model of `names`, answers that were left out because another file lacks their prompts. */
  leftOut: number[];
  models: RatedModel[];
  /** Models without a single rating. */
  unrated: string[];
  improvements: ImprovementOf[];
}

/**
 * Rates every answer from 1 to 10 on five criteria and compares the models: mean ratings and, for each
 * pair, the probability of improvement P(X > Y) + P(X = Y) / 2. All intervals come from a bootstrap that draws prompts,
 * with every answer to them and all its ratings. An answer whose rating cannot be read counts nowhere. Errors:
 * UsageError, FormatError, those of the rater; UserError of the files, and where no answer has a rating.
 */
export async function rateAnswers(options: RatingsOptions): Promise<RatingsResult> {
  const { rater, sample, seed = 0, level = 0.95, resamples = 2000, out, concurrency, onProgress } = options;
  if (out !== undefined) await requireWritable(out, 0);
  const sets = await readAnswerSets(options.answers, { sample, seed });
  const texts = sets.prompts.map(promptText);
  const tasks = sets.names.flatMap((_, model) => texts.map((prompt, i) => ({ model, prompt, i })));
  let done = 0;
  const rated = await mapConcurrently(tasks, concurrency, async ({ model, prompt, i }) => {
    const ratings = await rater.rate({ prompt, answer: sets.answers[model]![i]!.text });
    onProgress?.(++done, tasks.length);
    return ratings;
  });
  if (out !== undefined) {
    const lines = tasks.map(({ model, i }, t) => ({
      model: sets.names[model],
      line: sets.answers[model]![i]!.line,
      ratings: rated[t]!.ratings ?? null,
      unparsed: rated[t]!.unparsed,
      text: rated[t]!.text,
    }));
    await writeJsonl(out, lines);
  }
  const count = sets.prompts.length;
  const all = sets.names.map((model, m) => {
    const some = rated.slice(m * count, (m + 1) * count);
    const own = some.flatMap(({ ratings }, i) => (ratings ? [{ prompt: texts[i]!, ratings }] : []));
    const lengths = some.flatMap(({ ratings }, i) => (ratings ? [characters(sets.answers[m]![i]!.text)] : []));
    return { model, own, lengths };
  });
  const byModel = all.filter(({ own }) => own.length > 0);
  if (byModel.length === 0) throw new UserError(`${all[0]!.model}: ${noRating(count)}`);
  return {
    names: sets.names,
    prompts: count,
    leftOut: sets.leftOut,
    models: byModel.map(({ model, own, lengths }) => ({
      model,
      rated: own.length,
      prompts: new Set(own.map(({ prompt }) => prompt)).size,
      unparsed: count - own.length,
      meanLength: mean(lengths),
      means: meanRatings(own, { seed, level, resamples }),
    })),
    unrated: all.filter(({ own }) => own.length === 0).map(({ model }) => model),
    improvements: byModel.flatMap((x, i) =>
      byModel.slice(i + 1).map((y) => ({
        model: x.model,
        over: y.model,
        improvement: improvementOf(x.own, y.own, { seed, level, resamples }),
      })),
    ),
  };
}

/** What is said of a model without a rating. */
export const noRating = (answers: number) => `no rating could be read, of ${answers} answers`;

interface Drawing {
  seed: number;
  level: number;
  resamples: number;
}

/** The ratings of an answer to a prompt. */
interface Rated {
  prompt: string;
  ratings: Ratings;
}

function meanRatings(own: readonly Rated[], { seed, level, resamples }: Drawing): RatedModel['means'] {
  const byPrompt = clustersOf(own, ({ prompt }) => prompt);
  const of = (value: (ratings: Ratings) => number, part: number) => {
    const values = byPrompt.map((answers) => answers.map(({ ratings }) => value(ratings)));
    const { estimate, low, high } = clusterBootstrap(values, { random: uniforms(seed, 4, part), level, resamples });
    return { rating: estimate, low, high };
  };
  const each = criteria.map((name, part) => [name, of((ratings) => ratings[name], part)] as const);
  const all = of((ratings) => mean(criteria.map((name) => ratings[name])), criteria.length);
  return Object.fromEntries([...each, ['mean', all]]) as RatedModel['means'];
}

function improvementOf(
  x: readonly Rated[],
  y: readonly Rated[],
  { seed, level, resamples }: Drawing,
): ImprovementOf['improvement'] {
  const of = (names: readonly Criterion[], part: number) => {
    const scored = (rated: readonly Rated[]) =>
      rated.map(({ prompt, ratings }) => ({ cluster: prompt, scores: names.map((name) => ratings[name]) }));
    return probabilityOfImprovement(scored(x), scored(y), { random: uniforms(seed, 5, part), level, resamples });
  };
  const each = criteria.map((name, part) => [name, of([name], part)] as const);
  return Object.fromEntries([...each, ['all', of(criteria, criteria.length)]]) as ImprovementOf['improvement'];
}
