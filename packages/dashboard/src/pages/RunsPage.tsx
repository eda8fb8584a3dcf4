import { useMemo, useState } from 'preact/hooks';
import type { RunList, RunSummary, StudyEntry } from 'reanchor/serve';
import { useList } from '../data/stream.js';
import { ago, date, modelName, number, percent, whole } from '../format.js';
import { isEvaluated, newestValue } from '../metrics.js';
import { Title } from '../parts/Header.js';
import { Empty, Lost, Sparkline, Status } from '../parts/small.js';
import { compareHref, runHref, studyHref } from '../router.js';

interface Column {
  key: string;
  title: string;
  /** What rows are sorted by. */
  value(run: RunSummary): string | number | null;
  isNumber?: boolean;
  /** What its numbers are of. */
  of?: string;
}

const evaluated = 'of the last evaluation; of the last training step, in grey, where a run has none';

const columns: Column[] = [
  { key: 'id', title: 'Run', value: (run) => run.id },
  { key: 'status', title: 'Status', value: (run) => run.status },
  { key: 'method', title: 'Method', value: (run) => `${run.method} ${run.reference}` },
  { key: 'step', title: 'Step', value: (run) => run.step, isNumber: true },
  {
    key: 'loss',
    title: 'Loss',
    of: 'of the last training step',
    value: (run) => run.metrics.loss ?? null,
    isNumber: true,
  },
  {
    key: 'margin',
    title: 'Margin',
    of: evaluated,
    value: (run) => newestValue(run, 'rewards/margins'),
    isNumber: true,
  },
  {
    key: 'accuracy',
    title: 'Accuracy',
    of: evaluated,
    value: (run) => newestValue(run, 'rewards/accuracies'),
    isNumber: true,
  },
  { key: 'kl', title: 'KL', of: evaluated, value: (run) => newestValue(run, 'kl/initial'), isNumber: true },
  { key: 'started', title: 'Started', value: (run) => run.started ?? '' },
];

export function RunsPage() {
  const { list, connection } = useList();
  const [filter, setFilter] = useState('');
  const [sort, setSort] = useState({ key: 'started', isDown: true });
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  // Those of a study are on its page.
  const all = useMemo(() => (list ? list.runs.filter(({ id }) => !isOfStudy(id, list.studies)) : []), [list]);
  const runs = useMemo(
    () =>
      sorted(
        all.filter((run) => matches(run, filter)),
        sort,
      ),
    [all, filter, sort],
  );
  if (!list) {
    return (
      <>
        <Title>Runs</Title>
        <Lost connection={connection} />
        <Empty>Looking for runs…</Empty>
      </>
    );
  }
  const chosen = all.filter(({ id }) => ticked.has(id)).map(({ id }) => id);
  const tick = (id: string) => {
    const next = new Set(ticked);
    if (!next.delete(id)) next.add(id);
    setTicked(next);
  };
  return (
    <>
      <div class="top">
        <div>
          <Title>Runs</Title>
          <Counts list={list} shown={runs.length} all={all.length} />
        </div>
        <div class="tools">
          <label>
            <span class="hidden">Filter runs</span>
            <input
              type="search"
              placeholder="Filter: name, method, model…"
              value={filter}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
          </label>
          <button
            type="button"
            disabled={chosen.length < 2}
            onClick={() => {
              location.hash = compareHref(chosen);
            }}
          >
            {chosen.length < 2 ? 'Tick runs to compare' : `Compare ${chosen.length} runs`}
          </button>
        </div>
      </div>
      <Lost connection={connection} />
      {list.notes.map((note) => (
        <p class="note warn" key={note}>
          {note}
        </p>
      ))}
      {list.studies.length > 0 && <Studies studies={list.studies} />}
      {all.length === 0 && list.studies.length > 0 ? null : all.length === 0 ? (
        <Empty>
          There is no run in this folder yet. A run that <code>npx reanchor train RECIPE</code> starts here appears by
          itself; <code>npx reanchor quickstart</code> makes four of them.
        </Empty>
      ) : runs.length === 0 ? (
        <Empty>No run matches “{filter}”.</Empty>
      ) : (
        <table class="runs">
          <caption class="hidden">Runs, newest numbers of each</caption>
          <thead>
            <tr>
              <th scope="col">
                <span class="hidden">Compare</span>
              </th>
              {columns.map((column) => (
                <Heading key={column.key} column={column} sort={sort} onSort={setSort} />
              ))}
              <th scope="col">Course</th>
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <Row key={run.id} run={run} isTicked={ticked.has(run.id)} onTick={() => tick(run.id)} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function Counts({ list, shown, all }: { list: RunList; shown: number; all: number }) {
  return (
    <p class="sub">
      <code>{list.folder}</code> · {shown === all ? '' : `${shown} of `}
      {all} {all === 1 ? 'run' : 'runs'}
      {list.studies.length > 0 && ' beside those of studies'}
    </p>
  );
}

/** Whether a run is one of a study, or was trained by a stage of one. */
function isOfStudy(id: string, studies: readonly StudyEntry[]): boolean {
  return studies.some((study) => {
    const above = study.id === '.' ? '' : `${study.id}/`;
    return id.startsWith(`${above}runs/`) || id.startsWith(`${above}stages/`);
  });
}

function Studies({ studies }: { studies: readonly StudyEntry[] }) {
  return (
    <section class="group" aria-labelledby="studies">
      <h2 id="studies">Studies</h2>
      <table class="plain studies">
        <caption class="hidden">Studies, the newest first</caption>
        <thead>
          <tr>
            <th scope="col">Study</th>
            <th scope="col">Arms</th>
            <th scope="col" class="number">
              Runs done
            </th>
            <th scope="col">Newest result</th>
          </tr>
        </thead>
        <tbody>
          {studies.map(({ id, arms, done, of, time }) => (
            <tr key={id}>
              <th scope="row">
                <a href={studyHref(id)}>{id}</a>
              </th>
              <td>{arms.join(', ')}</td>
              <td class="number">
                {whole(done)}
                {of !== undefined && <span class="of"> / {whole(of)}</span>}
                {of !== undefined && done < of && <progress value={done / of} aria-label={percent(done / of)} />}
              </td>
              <td title={date(time)}>{ago(time)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface Sort {
  key: string;
  isDown: boolean;
}

function Heading({ column, sort, onSort }: { column: Column; sort: Sort; onSort: (sort: Sort) => void }) {
  const isSorted = sort.key === column.key;
  const direction = isSorted ? (sort.isDown ? 'descending' : 'ascending') : undefined;
  return (
    <th scope="col" aria-sort={direction} class={column.isNumber ? 'number' : undefined}>
      <button
        type="button"
        class="sort"
        title={column.of}
        onClick={() => onSort({ key: column.key, isDown: isSorted ? !sort.isDown : column.isNumber === true })}
      >
        {column.title}
        <span aria-hidden="true">{isSorted ? (sort.isDown ? ' ↓' : ' ↑') : ''}</span>
      </button>
    </th>
  );
}

function Row({ run, isTicked, onTick }: { run: RunSummary; isTicked: boolean; onTick: () => void }) {
  const progress = run.steps ? Math.min(1, run.step / run.steps) : undefined;
  const accuracy = newestValue(run, 'rewards/accuracies');
  // Numbers of two kinds in one column are told apart.
  const kind = isEvaluated(run)
    ? { class: 'number' }
    : { class: 'number trained', title: 'of the last training step: this run has no evaluation' };
  return (
    <tr class={isTicked ? 'ticked' : undefined}>
      <td class="tick">
        <input type="checkbox" checked={isTicked} onChange={onTick} aria-label={`Compare ${run.id}`} />
      </td>
      <th scope="row">
        <a href={runHref(run.id)}>{run.id}</a>
        {run.model && <span class="model">{modelName(run.model)}</span>}
        {run.problem && (
          <span class="problem" title={run.problem}>
            {run.problem.includes('events.jsonl') ? 'events.jsonl' : 'run.json'} cannot be read
          </span>
        )}
        {run.failure && <span class="problem">{run.failure}</span>}
      </th>
      <td data-label="Status">
        <Status status={run.status} />
      </td>
      <td data-label="Method">
        {run.method || '–'} {run.reference !== 'none' && <span class="reference">{run.reference}</span>}
      </td>
      <td data-label="Step" class="number">
        {whole(run.step)}
        {run.steps !== undefined && <span class="of"> / {whole(run.steps)}</span>}
        {run.status === 'running' && progress !== undefined && (
          <progress value={progress} aria-label={percent(progress)} />
        )}
      </td>
      <td data-label="Loss" class="number">
        {number(run.metrics.loss)}
      </td>
      <td data-label="Margin" {...kind}>
        {number(newestValue(run, 'rewards/margins'))}
      </td>
      <td data-label="Accuracy" {...kind}>
        {accuracy === null ? '–' : accuracy.toFixed(3)}
      </td>
      <td data-label="KL" class="number">
        {number(newestValue(run, 'kl/initial'))}
      </td>
      <td data-label="Started" title={run.started && date(run.started)}>
        {run.started ? ago(run.started) : '–'}
      </td>
      <td class="course">
        <Sparkline sparkline={run.sparkline} />
      </td>
    </tr>
  );
}

function matches(run: RunSummary, filter: string): boolean {
  const text = [run.id, run.method, run.reference, run.model, run.status].join(' ').toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function sorted(runs: readonly RunSummary[], { key, isDown }: Sort): RunSummary[] {
  const { value } = columns.find((column) => column.key === key)!;
  const sign = isDown ? -1 : 1;
  return [...runs].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    // What is not known comes last, whichever way.
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return sign * (typeof x === 'number' ? x - (y as number) : x.localeCompare(y as string, 'en', { numeric: true }));
  });
}
