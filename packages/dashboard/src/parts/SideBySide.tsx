import { useState } from 'preact/hooks';
import type { EvaluationResult } from 'reanchor/serve';
import { whole } from '../format.js';
import { Empty } from './small.js';

type Row = EvaluationResult['rows'][number];
type Verdict = 'a' | 'b' | 'tie';

const pageSize = 10;

/** The verdict on a row, seen from `a`. */
function verdictOf(
  { verdicts }: Row,
  a: string,
  b: string,
): { winner: Verdict; reason: string | undefined } | undefined {
  for (const verdict of verdicts) {
    if (verdict.a === a && verdict.b === b) return { winner: verdict.winner, reason: verdict.reason };
    if (verdict.a === b && verdict.b === a) {
      const turned = { a: 'b', b: 'a', tie: 'tie' } as const;
      return { winner: turned[verdict.winner], reason: verdict.reason };
    }
  }
  return undefined;
}

/** What two models wrote on the same prompts, and who was found better. */
export function SideBySide({ rows, a, b }: { rows: readonly Row[]; a: string; b: string }) {
  const [wanted, setWanted] = useState<Verdict | 'all'>('all');
  const [page, setPage] = useState(0);
  const judged = rows.flatMap((row) => {
    const verdict = verdictOf(row, a, b);
    return verdict ? [{ row, ...verdict }] : [];
  });
  const shown = judged.filter(({ winner }) => wanted === 'all' || winner === wanted);
  const pages = Math.max(1, Math.ceil(shown.length / pageSize));
  const at = Math.min(page, pages - 1);
  const words: Record<Verdict, string> = { a: `${a} better`, b: `${b} better`, tie: 'Tie' };
  return (
    <section class="group" aria-labelledby="side-by-side">
      <h2 id="side-by-side">
        {a} against {b}
      </h2>
      <div class="tools">
        <label>
          Show{' '}
          <select
            value={wanted}
            onChange={(event) => {
              setWanted(event.currentTarget.value as Verdict | 'all');
              setPage(0);
            }}
          >
            <option value="all">all {whole(judged.length)} texts</option>
            {(['a', 'tie', 'b'] as const).map((verdict) => (
              <option key={verdict} value={verdict}>
                {words[verdict]} ({whole(judged.filter(({ winner }) => winner === verdict).length)})
              </option>
            ))}
          </select>
        </label>
        {pages > 1 && (
          <span class="pages">
            <button type="button" class="quiet" disabled={at === 0} onClick={() => setPage(at - 1)}>
              Earlier
            </button>{' '}
            {at + 1} of {pages}{' '}
            <button type="button" class="quiet" disabled={at === pages - 1} onClick={() => setPage(at + 1)}>
              Later
            </button>
          </span>
        )}
      </div>
      {shown.length === 0 && <Empty>No text of these two with this verdict is in the file.</Empty>}
      <div class="samples">
        {shown.slice(at * pageSize, (at + 1) * pageSize).map(({ row, winner, reason }, i) => (
          <article key={`${at} ${i}`}>
            <p class="prompt">{row.prompt}</p>
            <div class="sides">
              {(
                [
                  ['a', a],
                  ['b', b],
                ] as const
              ).map(([side, model]) => (
                <div key={side} class={winner === side ? 'winner' : undefined}>
                  <h3>
                    {model}
                    {winner === side && <span class="verdict">better</span>}
                    {winner === 'tie' && side === 'a' && <span class="verdict tie">tie</span>}
                  </h3>
                  <p class="text">{row.completions[model] ?? ''}</p>
                </div>
              ))}
            </div>
            {reason && <p class="reason">{reason}</p>}
          </article>
        ))}
      </div>
    </section>
  );
}
