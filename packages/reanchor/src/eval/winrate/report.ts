/** Win rates as one page of HTML: no scripts, nothing loaded, every text escaped. */
import { shuffled } from '../../random.js';
import type { Verdict } from '../judge/judge.js';
import type { ComparedRow, Comparison } from './compare.js';
import type { ModelPair, WinRateResult } from './winrate.js';

export interface ReportOptions {
  title: string;
  /** What the result file says of judge, templates and settings. */
  settings: Readonly<Record<string, unknown>>;
  /** Prompts shown for each pair of models; drawn by the seed. */
  samples: number;
  seed: number;
}

/** The page. */
export function winRateReport({ names, prompts, pairs }: WinRateResult, options: ReportOptions): string {
  const { title, settings, samples, seed } = options;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${escaped(`${prompts} rows, each pair of answers judged in both orders; where the orders disagree, it is a tie. Rows of one prompt depend on each other: intervals and tests draw and count prompts.`)}</p>
${chart(pairs)}
${rateTable(pairs)}
${names.length > 2 ? matrix(names, pairs) : ''}
${lengthTable(pairs)}
<h2>Settings</h2>
${settingsTable(settings)}
${pairs.map((pair, i) => sampleSection(pair, samples, seed + i)).join('\n')}
</body>
</html>
`;
}

function settingsTable(settings: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return table(given.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]));
}

/** One bar for each pair: wins, ties, losses, and the win rate with its interval. */
function chart(pairs: readonly ModelPair[]): string {
  const [left, width, row] = [230, 420, 44];
  const x = (share: number) => (left + width * share).toFixed(1);
  const bars = pairs.map(({ model, other, comparison }, i) => {
    const top = 12 + i * row;
    const { wins, ties, n, bootstrap } = comparison;
    const edges = [0, wins / n, (wins + ties) / n, 1];
    const parts = ['win', 'tie', 'loss'].map((name, part) => {
      const size = ((edges[part + 1]! - edges[part]!) * width).toFixed(1);
      return `<rect class="${name}" x="${x(edges[part]!)}" y="${top}" width="${size}" height="16"/>`;
    });
    const middle = top + 26;
    return [
      `<text x="${left - 10}" y="${top + 13}" text-anchor="end">${escaped(cut(`${model} against ${other}`, 34))}</text>`,
      ...parts,
      `<line x1="${x(bootstrap.low)}" x2="${x(bootstrap.high)}" y1="${middle}" y2="${middle}" class="interval"/>`,
      `<circle cx="${x(comparison.winRate)}" cy="${middle}" r="4"/>`,
    ].join('');
  });
  const height = 18 + pairs.length * row;
  const half = `<line x1="${x(0.5)}" x2="${x(0.5)}" y1="6" y2="${height - 6}" class="half"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 670 ${height}" width="670" height="${height}" role="img" aria-label="Shares of wins, ties and losses, and win rates with their intervals">${half}${bars.join('')}</svg>
<p class="legend"><span class="win">wins</span> <span class="tie">ties</span> <span class="loss">losses</span> dot and line: win rate and bootstrap interval</p>`;
}

function rateTable(pairs: readonly ModelPair[]): string {
  const head = [
    'model',
    'against',
    'rows',
    'prompts',
    'wins',
    'ties',
    'losses',
    'no verdict',
    'win rate',
    'Wilson',
    'bootstrap',
    'its p',
    'sign test',
    'orders disagree',
    'first place',
  ];
  const rows = pairs.map(({ model, other, comparison: c }) => [
    model,
    other,
    ...[c.n, c.bootstrap.clusters, c.wins, c.ties, c.losses, c.unparsed].map(String),
    percent(c.winRate),
    `${percent(c.wilson.low)} to ${percent(c.wilson.high)}`,
    `${percent(c.bootstrap.low)} to ${percent(c.bootstrap.high)}`,
    p(c.bootstrap.p),
    p(c.signTest),
    percent(c.disagreements / c.n),
    percent(c.firstPlaceShare),
  ]);
  return `<h2>Win rates</h2>\n${table(rows, head)}`;
}

function lengthTable(pairs: readonly ModelPair[]): string {
  const head = [
    'model',
    'against',
    'mean characters',
    'of the other',
    'mean words',
    'of the other',
    'the longer wins',
    'win rate if longer',
    'win rate if shorter',
  ];
  const rows = pairs.map(({ model, other, comparison: { lengths, ...c } }) => [
    model,
    other,
    ...[lengths.answer.mean, lengths.other.mean, lengths.answer.meanWords, lengths.other.meanWords].map((one) =>
      one.toFixed(0),
    ),
    percent(c.longerWins),
    percent(c.winRateLonger),
    percent(c.winRateShorter),
  ]);
  return `<h2>Lengths</h2>\n${table(rows, head)}`;
}

/** Win rates of the model of a row against that of a column. */
function matrix(names: readonly string[], pairs: readonly ModelPair[]): string {
  const rows = winRateMatrix(names, pairs).map((row, i) => [
    names[i]!,
    ...row.map((rate) => (rate === undefined ? '' : percent(rate))),
  ]);
  return `<h2>Row against column</h2>\n${table(rows, ['', ...names])}`;
}

/** The win rate of each model against each other, undefined where they were not compared. */
export function winRateMatrix(
  names: readonly string[],
  pairs: readonly { model: string; other: string; comparison: Pick<Comparison, 'winRate'> }[],
): (number | undefined)[][] {
  return names.map((a) =>
    names.map((b) => {
      const there = pairs.find(({ model, other }) => model === a && other === b);
      const back = pairs.find(({ model, other }) => model === b && other === a);
      return there ? there.comparison.winRate : back ? 1 - back.comparison.winRate : undefined;
    }),
  );
}

function sampleSection({ model, other, rows }: ModelPair, samples: number, seed: number): string {
  if (samples === 0) return '';
  const chosen = shuffled(rows.length, seed, 6).slice(0, samples);
  const shown = chosen.map((i) => sample(rows[i]!, i + 1, model, other)).join('\n');
  return `<h2>${escaped(`Samples: ${model} against ${other}`)}</h2>\n${shown}`;
}

function sample(
  { prompt, answer, other, outcome, agree, verdicts }: ComparedRow,
  place: number,
  a: string,
  b: string,
): string {
  const result = outcome === undefined ? 'no verdict' : { win: `${a} wins`, loss: `${b} wins`, tie: 'tie' }[outcome];
  const summary = `${place}: ${result}${agree === false ? ' (the orders disagree)' : ''}`;
  const said = (verdict: Verdict, first: string) =>
    `<h4>${escaped(`The judge, with ${first} first: ${verdict.label ?? verdict.unparsed ?? verdict.first}`)}</h4><pre>${escaped(verdict.text ?? '')}</pre>`;
  return `<details><summary>${escaped(summary)}</summary>
<h4>Prompt</h4><pre>${escaped(prompt)}</pre>
<div class="pair"><div><h4>${escaped(a)}</h4><pre>${escaped(answer)}</pre></div><div><h4>${escaped(b)}</h4><pre>${escaped(other)}</pre></div></div>
${verdicts.map((verdict, order) => said(verdict, order === 0 ? a : b)).join('\n')}
</details>`;
}

function table(rows: readonly (readonly string[])[], head?: readonly string[]): string {
  const line = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${head ? line(head, 'th') : ''}${rows.map((row) => line(row, 'td')).join('\n')}</table>`;
}

const percent = (share: number) => (Number.isNaN(share) ? '–' : `${(100 * share).toFixed(1)} %`);
const p = (value: number) => (value < 0.001 ? '< 0.001' : value.toFixed(3));
const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** A text as it may stand between tags and in quotes. */
export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

// Okabe and Ito's blue and vermilion: told apart by people with any colour vision.
const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{display:block;overflow-x:auto;border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #8886;padding:.2rem .4rem;text-align:left;overflow-wrap:break-word}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.6rem}.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
svg{max-width:100%;font-size:12px}svg text{fill:currentColor}rect.win{fill:#0072b2}rect.tie{fill:#999}rect.loss{fill:#d55e00}
.interval{stroke:currentColor;stroke-width:2}circle{fill:currentColor}.half{stroke:#8888;stroke-dasharray:3 3}
.legend span{padding:0 .5rem;color:#fff}.legend .win{background:#0072b2}.legend .tie{background:#777}.legend .loss{background:#d55e00}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}}`;
