import { realpath } from 'node:fs/promises';
import {
  completionTokens,
  describeSkips,
  type ModelPlace,
  pairGroup,
  type SkipReport,
  type TokenizedPair,
} from '../data/index.js';
import { UsageError, UserError } from '../errors.js';
import { requireWritable, writeJsonl } from '../formats/index.js';
import { chooseDevice } from '../models/device.js';
import { ModelLoader } from '../models/model-loader.js';
import { pairRewards, type ScoredPair, scorePairs } from '../models/score-pairs.js';
import { tell } from '../parallel/tell.js';
import { afterRankZero, leads } from '../parallel/together.js';
import { runText } from '../runs/index.js';
import { accuracyOf } from '../stats/index.js';
import { scoringNotes } from './positions.js';
import { pairsOfFiles, requireTokensOf, rowText } from './row-text.js';
import { requireSameInputs } from './same-inputs.js';
import { noPairs, requireRowsOfRun, type ScoreOptions, scoredPlaces, scoreInputs } from './score-inputs.js';

/** What {@link score} came to over all rows. */
export interface ScoreResult {
  rows: number;
  scored: number;
  skipped: SkipReport;
  /**
   * Share of the scored pairs whose chosen completion has the larger reward, ties counting half; without a reference,
   * the larger log-probability.
   */
  accuracy: number;
  /** Mean of chosen - rejected: rewards, or without a reference log-probabilities in nats. */
  meanMargin: number;
}

/**
 * Scores preference pairs with a model, in fp32, and writes one JSON line a row in input order: `{"index", "chosen":
 * {"logprob", "tokens"}, "rejected": {...}, "reference"?: {"chosen", "rejected"}, "reward"?: {"chosen", "rejected",
 * "margin"}}`, or `{"index", "skipped": reason, "file", "line"}` for a row that cannot be scored. `logprob` is the sum
 * over the completion's `tokens`, in nats (after an empty prompt the first of them has no probability and does not
 * count). The file appears whole or not at all. Errors: UserError, FormatError; DistributedError of a `world`.
 */
export async function score(options: ScoreOptions): Promise<ScoreResult> {
  const { tokensPerMicroBatch = 16384, onNote } = options;
  const { world, signal } = options;
  const device = chooseDevice(options.device);
  const now = new Date(tell(world, Date.now()));
  const inputs = await afterRankZero(world, () => readInputs({ ...options, now }));
  const { run, places, text, data, pairs, report, beta } = inputs;
  if (pairs.length === 0)
    throw new UserError([`no pair of ${report.total} rows can be scored`, ...describeSkips(report)].join('\n'));
  if (run && options.data === undefined) await requireRowsOfRun(run, { ...options, now }, text, data);
  for (const place of places) await requireTokensOf(text, data, pairs, place);
  await requireSameInputs(world, places, 'data', pairs.map(pairGroup));
  let finished = 0;
  for (const note of await scoringNotes(places, pairs.map(pairGroup))) onNote?.(note);
  using loader = new ModelLoader({ dtype: 'float32', device });
  const scoreWith = async (place: ModelPlace): Promise<ScoredPair[]> => {
    using model = await loader.load(place);
    const onProgress = (done: number) => options.onProgress?.(finished + done, places.length * pairs.length);
    const scores = await scorePairs(model, pairs, { tokensPerMicroBatch, onProgress, world, signal });
    finished += pairs.length;
    return scores;
  };
  const policy = await scoreWith(places[0]);
  const reference = places[1] && (await scoreWith(places[1]));

  const lines = pairs.map((pair, i) => scoreLine(pair, policy[i]!, reference?.[i], beta));
  const skips = [...report.byReason].flatMap(([skipped, places]) =>
    places.map(({ index, file, line }) => ({ index, skipped, file, line })),
  );
  if (leads(world)) {
    await writeJsonl(
      options.out,
      [...lines, ...skips].sort((a, b) => a.index - b.index),
    );
  }
  const margins = lines.map(({ reward, chosen, rejected }) => reward?.margin ?? chosen.logprob - rejected.logprob);
  return {
    rows: report.total,
    scored: pairs.length,
    skipped: report,
    accuracy: accuracyOf(margins),
    meanMargin: margins.reduce((a, b) => a + b, 0) / margins.length,
  };
}

/** What is scored by which models, as the options and their run say. */
async function readInputs(options: ScoreOptions & { now: Date }) {
  if (leads(options.world)) await requireWritable(options.out, 0);
  const run = options.run === undefined ? undefined : runText(options.run);
  const { model, data, beta } = await scoreInputs(options, run);
  await refuseInput(options.out, data);
  const places = await scoredPlaces(model, options, run);
  const text = await rowText(places, options, run);
  const { pairs, report } = await pairsOfFiles(data, text, options).catch((cause) => {
    throw run && options.data === undefined ? noPairs(run, cause) : cause;
  });
  return { run, places, text, data, pairs, report, beta };
}

/** The output replaces what was there; the rows themselves must not be lost to it. */
async function refuseInput(out: string, data: readonly string[]): Promise<void> {
  const target = await realpath(out).catch(() => undefined);
  if (target === undefined) return;
  for (const file of data) {
    if ((await realpath(file).catch(() => undefined)) !== target) continue;
    throw new UsageError(`${out} is the file of rows itself, which would be replaced by its scores: name another file`);
  }
}

function scoreLine(pair: TokenizedPair, policy: ScoredPair, reference: ScoredPair | undefined, beta: number) {
  const [chosenTokens, rejectedTokens] = completionTokens(pairGroup(pair));
  const line = {
    index: pair.index,
    chosen: { logprob: policy.chosen, tokens: chosenTokens! },
    rejected: { logprob: policy.rejected, tokens: rejectedTokens! },
  };
  if (!reference) return { ...line, reward: undefined };
  const { chosen, rejected } = pairRewards(policy, reference, beta);
  return { ...line, reference, reward: { chosen, rejected, margin: chosen - rejected } };
}
