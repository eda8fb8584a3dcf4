import { fewPromptsNotes, leftOutNotes } from '../eval/answer-sets.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import type { JudgeFlags } from './commands/judge-options.js';
import { numberFlag } from './flags.js';
import { openJudge } from './open-judge.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval ratings` as commander gives them. */
export interface RatingsFlags extends JudgeFlags {
  answers: string[];
  sample?: string;
  seed: string;
  level: string;
  resamples: string;
  out?: string;
  json?: string;
}

/** `reanchor eval ratings`: prints mean ratings and probabilities of improvement. */
export async function ratingsVerb(flags: RatingsFlags, terminal: Terminal): Promise<void> {
  const sample =
    flags.sample === undefined ? undefined : numberFlag('--sample', flags.sample, { integer: true, min: 1 });
  const drawing = {
    sample,
    seed: numberFlag('--seed', flags.seed, { integer: true }),
    level: numberFlag('--level', flags.level, { above: true, max: 0.9999 }),
    resamples: numberFlag('--resamples', flags.resamples, { integer: true, min: 1 }),
  };
  if (flags.json !== undefined) await requireWritable(flags.json, 0);
  const { noRating, rateAnswers } = await import('../eval/ratings/ratings.js');
  const { chatRater } = await import('../eval/ratings/rater.js');
  const { ratingTemplateOf } = await import('../eval/judge/judges.js');
  const { criteria } = await import('../eval/judge/templates.js');
  const { answers, out } = flags;
  await using session = await openJudge(flags, process.env, terminal);
  const template = await ratingTemplateOf(flags.template);
  const rater = chatRater(session.client, { ...session, template });
  const { concurrency, onProgress } = session;
  const result = await rateAnswers({ answers, rater, ...drawing, out, concurrency, onProgress });
  terminal.endStatus();
  for (const note of leftOutNotes(result)) terminal.note(note);

  const means = result.models.map(({ model, rated, prompts, means, meanLength }) => [
    model,
    ...[rated, prompts].map(String),
    ...[...criteria, 'mean' as const].map((name) => means[name].rating.toFixed(2)),
    meanLength.toFixed(0),
  ]);
  for (const line of table([['mean rating', 'answers', 'prompts', ...criteria, 'mean', 'characters'], ...means]))
    terminal.result(line);
  if (result.improvements.length > 0) {
    const rows = result.improvements.map(({ model, over, improvement }) => [
      `${model} over ${over}`,
      ...[...criteria, 'all' as const].map((name) => {
        const { probability, low, high } = improvement[name];
        return `${probability.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
      }),
    ]);
    for (const line of table([['probability of improvement', ...criteria, 'all'], ...rows])) terminal.result(line);
  }
  for (const { model, prompts, unparsed } of result.models) {
    if (unparsed > 0) terminal.note(`${model}: ${unparsed} answers without a rating that can be read`);
    for (const note of fewPromptsNotes(model, prompts)) terminal.note(note);
  }
  for (const model of result.unrated) terminal.note(`${model}: ${noRating(result.prompts)}`);
  if (out !== undefined) terminal.note(`wrote ${out}`);
  if (flags.json === undefined) return;
  const settings = { ...rater.settings, ...drawing };
  const document = { evaluation: 'ratings', reanchor: packageVersion(), settings, ...result };
  await writeFileAtomic(flags.json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${flags.json}`);
}
