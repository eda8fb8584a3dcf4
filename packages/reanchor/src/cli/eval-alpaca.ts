import { writeFileAtomic } from '../formats/index.js';
import { packageVersion } from '../runs/version.js';
import { numberFlag } from './flags.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval alpaca` as commander gives them. */
export interface AlpacaFlags {
  lcInputs?: string;
  annotations?: string[];
  outputs?: string;
  referenceOutputs?: string;
  difficulty?: string;
  baselines?: string;
  c?: string;
  expected?: string;
  json?: string;
}

/** `reanchor eval alpaca`: prints a table of models; `--json` writes all numbers. */
export async function alpacaVerb({ json, c, ...files }: AlpacaFlags, terminal: Terminal): Promise<void> {
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
  if (results.some((one) => one.lc_win_rate === null)) {
    terminal.note('no length control: it needs --difficulty and --baselines');
  }
  if (json === undefined) return;
  const document = { benchmark: 'alpaca_eval_2', reanchor: packageVersion(), models: results };
  await writeFileAtomic(json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${json}`);
}

const percent = (value: number | null) => (value === null ? '-' : value.toFixed(2));
/** With its sign; what rounds to 0 is +0. */
const signed = (value: number | undefined) =>
  value === undefined
    ? '-'
    : value
        .toFixed(4)
        .replace(/^-(0\.0+)$/, '$1')
        .replace(/^(?!-)/, '+');
