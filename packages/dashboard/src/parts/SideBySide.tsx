import { useState } from 'preact/hooks';
import type { WinRateDocument } from 'reanchor/serve';
import { whole } from '../format.js';
import { Empty } from './small.js';

type Pair = WinRateDocument['pairs'][number];
type Row = Pair['rows'][number];
type Wanted = 'all' | 'win' | 'tie' | 'loss' | 'none';

const pageSize = 10;

/** What two models wrote on the same prompts, and who was found better. */
export function SideBySide({ model, other, rows }: Pick<Pair, 'model' | 'other' | 'rows'>) {
  const [wanted, setWanted] = useState<Wanted>('all');
  const [page, setPage] = useState(0);
  const outcomeOf = (row: Row): Wanted => row.outcome ?? 'none';
  const shown = rows.filter((row) => wanted === 'all' || outcomeOf(row) === wanted);
  const pages = Math.max(1, Math.ceil(shown.length / pageSize));
  const at = Math.min(page, pages - 1);
  const choices: [Wanted, string][] = [
    ['win', `${model} better`],
    ['tie', 'ties'],
    ['loss', `${other} better`],
    ['none', 'without a verdict'],
  ];
  return (
    <section class="group" aria-labelledby="side-by-side">
      <h2 id="side-by-side">
        {model} against {other}
      </h2>
      {rows.length === 0 && <Empty>The file has no texts of these two.</Empty>}
      {rows.length > 0 && (
        <div class="tools">
          <label>
            Show{' '}
            <select
              value={wanted}
              onChange={(event) => {
                setWanted(event.currentTarget.value as Wanted);
                setPage(0);
              }}
            >
              <option value="all">all {whole(rows.length)} texts</option>
              {choices.map(([outcome, words]) => (
                <option key={outcome} value={outcome}>
                  {words} ({whole(rows.filter((row) => outcomeOf(row) === outcome).length)})
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
      )}
      {rows.length > 0 && shown.length === 0 && <Empty>No text has this verdict.</Empty>}
      <div class="samples">
        {shown.slice(at * pageSize, (at + 1) * pageSize).map((row, i) => (
          <Compared key={`${at} ${i}`} row={row} model={model} other={other} />
        ))}
      </div>
    </section>
  );
}

function Compared({
  row: { prompt, answer, other: otherAnswer, outcome, agree, verdicts },
  model,
  other,
}: {
  row: Row;
  model: string;
  other: string;
}) {
  const side = (name: string, text: string, isBetter: boolean, note: string | undefined) => (
    <div class={isBetter ? 'winner' : undefined}>
      <h3>
        {name}
        {isBetter && <span class="verdict">better</span>}
        {note && <span class="verdict tie">{note}</span>}
      </h3>
      <p class="text">{text}</p>
    </div>
  );
  const note =
    outcome === 'tie' ? (agree === false ? 'tie: the orders disagree' : 'tie') : outcome ? undefined : 'no verdict';
  return (
    <article>
      <p class="prompt">{prompt}</p>
      <div class="sides">
        {side(model, answer, outcome === 'win', note)}
        {side(other, otherAnswer, outcome === 'loss', undefined)}
      </div>
      {verdicts.map(({ label, text }, order) => (
        <p key={`${order}`} class="reason">
          {order === 0 ? model : other} first: {label ?? 'no verdict'}
          {text && <span class="said">{text}</span>}
        </p>
      ))}
    </article>
  );
}
