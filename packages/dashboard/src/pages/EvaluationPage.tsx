import { useState } from 'preact/hooks';
import type { EvaluationResult } from 'reanchor/serve';
import { download } from '../charts/download.js';
import { useResult } from '../data/stream.js';
import { date, percent, whole } from '../format.js';
import { Title } from '../parts/Header.js';
import { Results } from '../parts/Results.js';
import { SideBySide } from '../parts/SideBySide.js';
import { Empty, Scroll } from '../parts/small.js';

type Pair = EvaluationResult['pairs'][number];

export function EvaluationPage({ id }: { id: string | undefined }) {
  const { result, problem } = useResult(id);
  return (
    <>
      <Title>Evaluations</Title>
      <Results page="evaluation" kind="winrate" id={id}>
        No evaluation is in this folder. <code>reanchor eval winrate --json</code> writes one; put the file anywhere in
        the folder of runs.
      </Results>
      {problem && <p class="banner warn">{problem}</p>}
      {id !== undefined && !result && !problem && <Empty>Reading the result…</Empty>}
      {result?.kind === 'winrate' && <Evaluation key={id} result={result.result} />}
    </>
  );
}

function Evaluation({ result }: { result: EvaluationResult }) {
  const { models, pairs, judge, time, confidence, rows } = result;
  const [chosen, choose] = useState<{ a: string; b: string }>(pairs[0] ?? { a: models[0]!, b: models[1]! });
  return (
    <>
      <p class="sub">
        Judged by {judge}, {date(time)}. A cell says how often the model of its row is better than that of its column, a
        tie counting one half, with a {percent(confidence)} interval.{' '}
        <button type="button" class="quiet" onClick={() => download('win-rates.csv', 'text/csv', csvOf(pairs))}>
          CSV
        </button>
      </p>
      <Matrix models={models} pairs={pairs} chosen={chosen} onChoose={choose} />
      {rows.length > 0 && <SideBySide rows={rows} a={chosen.a} b={chosen.b} />}
    </>
  );
}

/** How `row` does against `column`, whichever way the pair was compared. */
function against(pairs: readonly Pair[], row: string, column: string): Omit<Pair, 'a' | 'b'> | undefined {
  for (const pair of pairs) {
    if (pair.a === row && pair.b === column) return pair;
    if (pair.a === column && pair.b === row) {
      const { wins, ties, losses, winRate, low, high } = pair;
      return { wins: losses, ties, losses: wins, winRate: 1 - winRate, low: 1 - high, high: 1 - low };
    }
  }
  return undefined;
}

function Matrix({
  models,
  pairs,
  chosen,
  onChoose,
}: {
  models: readonly string[];
  pairs: readonly Pair[];
  chosen: { a: string; b: string };
  onChoose: (pair: { a: string; b: string }) => void;
}) {
  return (
    <Scroll label="Win rates">
      <table class="matrix">
        <caption class="hidden">How often the model of a row is better than that of a column</caption>
        <thead>
          <tr>
            <td />
            {models.map((model) => (
              <th scope="col" key={model}>
                {model}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {models.map((row) => (
            <tr key={row}>
              <th scope="row">{row}</th>
              {models.map((column) => {
                const cell = row === column ? undefined : against(pairs, row, column);
                if (!cell)
                  return (
                    <td key={column} class="none">
                      {row === column ? '' : '–'}
                    </td>
                  );
                const { winRate, low, high, wins, ties, losses } = cell;
                const isSure = low > 0.5 || high < 0.5;
                const isChosen = chosen.a === row && chosen.b === column;
                return (
                  <td key={column} class={isSure ? (winRate > 0.5 ? 'better' : 'worse') : 'open'}>
                    <button type="button" aria-pressed={isChosen} onClick={() => onChoose({ a: row, b: column })}>
                      <b>{(100 * winRate).toFixed(1)} %</b>
                      <span class="interval">
                        {(100 * low).toFixed(1)} to {(100 * high).toFixed(1)}
                      </span>
                      <span class="counts">
                        {whole(wins)} won, {whole(ties)} tied, {whole(losses)} lost
                      </span>
                    </button>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function csvOf(pairs: readonly Pair[]): string {
  const head = 'a,b,wins,ties,losses,win rate,low,high';
  const rows = pairs.map(({ a, b, wins, ties, losses, winRate, low, high }) =>
    [a, b]
      .map((name) => `"${name.replaceAll('"', '""')}"`)
      .concat([wins, ties, losses, winRate, low, high].map(String))
      .join(','),
  );
  return `${[head, ...rows].join('\n')}\n`;
}
