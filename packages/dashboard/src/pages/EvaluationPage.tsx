import { useState } from 'preact/hooks';
import type { WinRateDocument } from 'reanchor/serve';
import { download } from '../charts/download.js';
import { useResult } from '../data/stream.js';
import { percent, whole } from '../format.js';
import { Title } from '../parts/Header.js';
import { Results } from '../parts/Results.js';
import { SideBySide } from '../parts/SideBySide.js';
import { Empty, Scroll } from '../parts/small.js';

type Pair = WinRateDocument['pairs'][number];

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

function Evaluation({ result }: { result: WinRateDocument }) {
  const { names, pairs, settings } = result;
  const [chosen, choose] = useState<Chosen>({ model: pairs[0]!.model, other: pairs[0]!.other });
  const templates = Object.keys(settings.templates).join(', ');
  return (
    <>
      <p class="sub">
        Judged by {settings.model}
        {templates && `, template ${templates}`}
        {settings.prompts !== undefined && `, on ${whole(settings.prompts)} prompts`}. A cell says how often the model
        of its row is better than that of its column, a tie counting one half, with a {percent(settings.level)}{' '}
        interval; it is coloured where the interval does not hold one half.
      </p>
      <p class="exports">
        <button type="button" class="quiet" onClick={() => download('win-rates.csv', 'text/csv', csvOf(pairs))}>
          Win rates as CSV
        </button>
      </p>
      <Matrix names={names} pairs={pairs} chosen={chosen} onChoose={choose} />
      <SideBySide key={`${chosen.model} ${chosen.other}`} {...against(pairs, chosen.model, chosen.other)!} />
    </>
  );
}

interface Chosen {
  model: string;
  other: string;
}

/** How a model does against another one, whichever way the two were compared. */
function against(pairs: readonly Pair[], model: string, other: string): Pair | undefined {
  for (const pair of pairs) {
    if (pair.model === model && pair.other === other) return pair;
    if (pair.model === other && pair.other === model) return turned(pair);
  }
  return undefined;
}

function turned({ model, other, n, wins, ties, losses, winRate, bootstrap: { low, high }, rows }: Pair): Pair {
  const outcomes = { win: 'loss', loss: 'win', tie: 'tie' } as const;
  return {
    model: other,
    other: model,
    n,
    wins: losses,
    ties,
    losses: wins,
    winRate: 1 - winRate,
    bootstrap: { low: 1 - high, high: 1 - low },
    rows: rows.map((row) => ({
      ...row,
      answer: row.other,
      other: row.answer,
      outcome: row.outcome && outcomes[row.outcome],
      verdicts: [...row.verdicts].reverse(),
    })),
  };
}

interface MatrixProps {
  names: readonly string[];
  pairs: readonly Pair[];
  chosen: Chosen;
  onChoose: (pair: Chosen) => void;
}

function Matrix({ names, pairs, chosen, onChoose }: MatrixProps) {
  return (
    <Scroll label="Win rates">
      <table class="matrix">
        <caption class="hidden">How often the model of a row is better than that of a column</caption>
        <thead>
          <tr>
            <td />
            {names.map((model) => (
              <th scope="col" key={model}>
                {model}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map((row) => (
            <tr key={row}>
              <th scope="row">{row}</th>
              {names.map((column) => {
                const cell = row === column ? undefined : against(pairs, row, column);
                if (!cell)
                  return (
                    <td key={column} class="none">
                      {row === column ? '' : '–'}
                    </td>
                  );
                const { winRate, wins, ties, losses } = cell;
                const { low, high } = cell.bootstrap;
                const isSure = low > 0.5 || high < 0.5;
                const isChosen = chosen.model === row && chosen.other === column;
                return (
                  <td key={column} class={isSure ? (winRate > 0.5 ? 'better' : 'worse') : 'open'}>
                    <button
                      type="button"
                      aria-pressed={isChosen}
                      onClick={() => onChoose({ model: row, other: column })}
                    >
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
  const rows = pairs.map(({ model, other, wins, ties, losses, winRate, bootstrap: { low, high } }) => {
    const names = [model, other].map((name) => `"${name.replaceAll('"', '""')}"`);
    return [...names, wins, ties, losses, winRate, low, high].join(',');
  });
  return `${['model,other,wins,ties,losses,win rate,low,high', ...rows].join('\n')}\n`;
}
