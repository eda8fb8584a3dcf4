/** The stages of a study: models, answers and pairs that runs share. */
import { basename, join } from 'node:path';
import { type PromptText, promptColumns } from '../data/index.js';
import { FormatError } from '../errors.js';
import { isRecord, readJsonl, writeFolderAtomic, writeJsonl } from '../formats/index.js';
import { readPrompts, TextGenerator } from '../generate/index.js';
import { uniforms } from '../random.js';
import { textHere } from '../recipe/index.js';
import { groupBy } from '../stats/index.js';
import { type LabelJob, outputOf, type SampleJob } from './jobs.js';
import type { WorkOptions } from './measured-run.js';
import { drawPrompts } from './prompts.js';
import { Scorer } from './scorer.js';

/** Writes `answers.jsonl` in a new folder: rows as those of `reanchor generate`. Errors: UserError; the signal's. */
export async function sampleStage(job: SampleJob, { signal, onProgress }: WorkOptions): Promise<void> {
  const { model, samples, maxNewTokens, seed } = job;
  const prompts = await drawPrompts(job);
  using generator = await TextGenerator.load(textHere('model', model), { signal });
  const answers = await generator.complete(prompts, {
    ...{ samples, maxNewTokens, seed, temperature: 1, batchSize: 128, signal },
    onProgress: ({ done, of }) => onProgress(done / of),
  });
  const rows = answers.map(({ prompt, sample, text, tokens, logprob, finish }) => {
    const columns = promptColumns(prompts[prompt]!);
    return { index: prompt, sample, ...columns, completion: text, tokens: tokens.length, logprob, finish };
  });
  await writeStage(job, rows);
}

const writeStage = (job: SampleJob | LabelJob, rows: readonly object[]) =>
  writeFolderAtomic(job.out, (folder) => writeJsonl(join(folder, basename(outputOf(job))), rows));

/** An answer that is to be labelled. */
interface Answer {
  prompt: PromptText;
  text: string;
  score: number;
}

/** Writes `pairs.jsonl` in a new folder. Errors: UserError, FormatError; the signal's reason. */
export async function labelStage(job: LabelJob, { signal }: WorkOptions): Promise<void> {
  const byPrompt = await scoredAnswers(job, signal);
  const turn = uniforms(job.seed, flipKey);
  const pairs = byPrompt.flatMap((answers) => (job.keep === 'allPairs' ? allPairs(answers) : bestAndWorst(answers)));
  const rows = pairs.map(([better, worse]) => {
    const [chosen, rejected] = turn() < job.flip ? [worse, better] : [better, worse];
    return { ...promptColumns(better.prompt), chosen: completionOf(chosen), rejected: completionOf(rejected) };
  });
  await writeStage(job, rows);
}

/** Keeps the draws here apart from others of the same seed. */
const flipKey = 12;

/** A completion of a chat is a message. */
const completionOf = ({ prompt, text }: Answer) =>
  typeof prompt.prompt === 'string' ? text : [{ role: 'assistant', content: text }];

function bestAndWorst(answers: readonly Answer[]): [Answer, Answer][] {
  const ranked = [...answers].sort((a, b) => b.score - a.score);
  const [best, worst] = [ranked[0]!, ranked.at(-1)!];
  return best.score > worst.score ? [[best, worst]] : [];
}

function allPairs(answers: readonly Answer[]): [Answer, Answer][] {
  return answers.flatMap((first, i) =>
    answers.slice(i + 1).flatMap((second): [Answer, Answer][] => {
      if (first.score === second.score) return [];
      return [first.score > second.score ? [first, second] : [second, first]];
    }),
  );
}

/** The answers of a file with their scores, those to one prompt together, prompts in their order. */
async function scoredAnswers({ answers: name, score }: LabelJob, signal: AbortSignal): Promise<Answer[][]> {
  const file = textHere('data.train', name!);
  const prompts = await readPrompts(file);
  const rows: { index: number; text: string; length: number; surprise: number; isCut: boolean }[] = [];
  for await (const { line, value } of readJsonl(file)) {
    const { index, completion, tokens, logprob, finish } = isRecord(value) ? value : {};
    if (typeof completion !== 'string' || typeof index !== 'number') {
      throw new FormatError('no answer: rows have prompt, index and completion, as reanchor generate writes them', {
        file,
        where: String(line),
      });
    }
    rows.push({
      index,
      text: completion,
      length: Number(tokens),
      surprise: -Number(logprob),
      isCut: finish === 'length',
    });
  }
  using scorer = await Scorer.load({ label: score }, signal);
  const answers = rows.map((row, i) => ({ ...row, prompt: prompts[i]! }));
  const scores = await scorer.scores(answers);
  const scored = answers.map(({ index, prompt, text }, i) => ({ index, prompt, text, score: scores[i]!.label! }));
  return [...groupBy(scored, ({ index }) => index).values()];
}
