import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../version.js';
import type { JudgeFlags } from './commands/judge-options.js';
import { choiceFlag, numberFlag } from './flags.js';
import { openJudge } from './open-judge.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval alpaca` as commander gives them. */
export interface AlpacaFlags extends JudgeFlags {
  lcInputs?: string;
  annotations?: string[];
  outputs?: string;
  referenceOutputs?: string;
  difficulty?: string;
  baselines?: string;
  c?: string;
  expected?: string;
  json?: string;
  out?: string;
  orders: string;
  discrete?: boolean;
}

/**
 * `reanchor eval alpaca`: prints a table of models; `--json` writes all numbers. With a judge, the answers are
 * annotated first.
 */
export async function alpacaVerb(flags: AlpacaFlags, terminal: Terminal): Promise<void> {
  const { json, c, lcInputs, outputs, referenceOutputs, difficulty, baselines, expected } = flags;
  const annotations = flags.judgeUrl === undefined ? flags.annotations : [await annotate(flags, terminal)];
  const files = { lcInputs, annotations, outputs, referenceOutputs, difficulty, baselines, expected };
  const { evaluateAlpaca } = await import('../eval/alpaca/evaluate.js');
  const results = await evaluateAlpaca({
    ...files,
    c: c === undefined ? undefined : numberFlag('--c', c, { above: true }),
  });
  const isCompared = results.some(({ difference }) => difference !== undefined);
  const rows = results.map((one) => [
    one.model,
    String(one.n),
    percent(one.win_rate),
    percent(one.standard_error),
    percent(one.lc_win_rate),
    one.c === null ? '-' : String(Number(one.c.toPrecision(5))),
    String(one.avg_length),
    ...(isCompared ? [signed(one.difference?.win_rate), signed(one.difference?.lc_win_rate)] : []),
  ]);
  const head = ['model', 'rows', 'win rate', 's.e.', 'length-controlled', 'C', 'mean length'];
  if (isCompared) head.push('win rate - published', 'length-controlled - published');
  for (const line of table([head, ...rows])) terminal.result(line);
  for (const { model, problem } of results) if (problem !== undefined) terminal.note(`${model}: ${problem}`);
  if (difficulty === undefined) terminal.note('no length control: it needs --difficulty and --baselines');
  if (json === undefined) return;
  const document = { benchmark: 'alpaca_eval_2', reanchor: packageVersion(), models: results };
  await writeFileAtomic(json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${json}`);
}

/** Annotates with the judge; gives the file of annotations. */
async function annotate(flags: AlpacaFlags, terminal: Terminal): Promise<string> {
  const { outputs, referenceOutputs, out, annotations, lcInputs, discrete: isDiscrete = false, template } = flags;
  if (outputs === undefined || referenceOutputs === undefined || out === undefined || (annotations ?? lcInputs)) {
    throw new UsageError(
      'a judge makes the annotations: give --outputs, --reference-outputs and --out, the file of annotations to write, and neither --annotations nor --lc-inputs',
    );
  }
  const orders = choiceFlag('--orders', flags.orders, ['random', 'both']);
  const { annotateAlpaca } = await import('../eval/alpaca/annotate.js');
  const { alpacaJudge } = await import('../eval/judge/judges.js');
  await using session = await openJudge(flags, process.env, terminal);
  const judge = await alpacaJudge(session.client, { ...session, template, isDiscrete });
  const { concurrency, onProgress } = session;
  const result = await annotateAlpaca({ judge, outputs, referenceOutputs, out, orders, concurrency, onProgress });
  terminal.endStatus();
  const counts = [
    `${result.rows} rows`,
    `${result.unparsed} without a verdict`,
    `${result.identical} equal answers`,
    `${result.missing} instructions without an answer`,
  ];
  terminal.note(`wrote ${out}: ${counts.join(', ')}`);
  return out;
}

const percent = (value: number | null) => (value === null || Number.isNaN(value) ? '-' : value.toFixed(2));
/** With its sign; what rounds to 0 is +0. */
const signed = (value: number | undefined) =>
  value === undefined
    ? '-'
    : value
        .toFixed(4)
        .replace(/^-(0\.0+)$/, '$1')
        .replace(/^(?!-)/, '+');
