import type { Diversity } from '../eval/diversity/diversity.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval diversity` as commander gives them. */
export interface DiversityFlags {
  answers: string[];
  json?: string;
}

/**
 * `reanchor eval diversity`: prints self-BLEU, distinct-n and lengths of each file of answers; `--json` writes them.
 */
export async function diversityVerb({ answers, json }: DiversityFlags, terminal: Terminal): Promise<void> {
  const { namedFiles } = await import('../eval/answer-sets.js');
  const { readAnswers } = await import('../eval/answers.js');
  const { diversity } = await import('../eval/diversity/diversity.js');
  const files = namedFiles(answers, 'answers');
  if (json !== undefined) await requireWritable(json, 0);
  const models: (Diversity & { model: string; file: string })[] = [];
  for (const { name, file } of files) {
    models.push({ model: name, file, ...diversity(await readAnswers(file)) });
  }
  const bleu = models.map(({ model, prompts, answers, ...d }) => [
    model,
    String(prompts),
    String(answers),
    share(d.selfBleuOfPrompts?.words),
    share(d.selfBleuOfPrompts?.characters),
    share(d.selfBleu?.words),
    share(d.selfBleu?.characters),
    ...d.distinct.map(share),
  ]);
  const head = ['self-BLEU of a prompt', '(characters)', 'of all', '(characters)', 'distinct-1', '-2', '-3'];
  for (const line of table([['model', 'prompts', 'answers', ...head], ...bleu])) terminal.result(line);
  terminal.result('');
  const lengths = models.flatMap(({ model, lengths }) =>
    Object.entries(lengths).flatMap(([unit, one]) =>
      one === undefined
        ? []
        : [[model, unit, ...[one.mean, one.q05, one.q25, one.median, one.q75, one.q95].map((n) => n.toFixed(1))]],
    ),
  );
  const quantiles = ['5 %', '25 %', 'median', '75 %', '95 %'];
  for (const line of table([['length', 'unit', 'mean', ...quantiles], ...lengths])) terminal.result(line);
  if (json === undefined) return;
  const document = { evaluation: 'diversity', reanchor: packageVersion(), models };
  await writeFileAtomic(json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${json}`);
}

const share = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? '-' : value.toFixed(4));
