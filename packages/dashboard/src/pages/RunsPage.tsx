import { useMemo, useState } from 'preact/hooks';
import type { RunList, RunSummary, StudyEntry } from 'reanchor/serve';
import { useList } from '../data/stream.js';
import { ago, date, modelName, number, percent, whole } from '../format.js';
import { isEvaluated, newestValue } from '../metrics.js';
import { Title } from '../parts/Header.js';
import { Empty, Lost, Name, Scroll, Sparkline, Status } from '../parts/small.js';
import { type Column, Heading, type Sort, sorted } from '../parts/sort.js';
import { compareHref, runHref, studyHref } from '../router.js';

const evaluated = 'of the last evaluation; of the last training step, in grey, where a run has none';

const columns: Column<RunSummary>[] = [
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
  const [sort, setSort] = useState<Sort>({ key: 'started', isDown: true });
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  // Those of a study are on its page.
  const all = useMemo(() => (list ? list.runs.filter(({ id }) => !isOfStudy(id, list.studies)) : []), [list]);
  const runs = useMemo(
    () =>
      sorted(
        all.filter((run) => matches(run, filter)),
        columns,
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
  const chosen = all.flatMap(({ id }) => (ticked.has(id) ? [id] : []));
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
        <Tools filter={filter} onFilter={setFilter} chosen={chosen} />
      </div>
      <Lost connection={connection} />
      {list.notes.map((note) => (
        <p class="note warn" key={note}>
          {note}
        </p>
      ))}
      {list.studies.length > 0 && <Studies studies={list.studies} />}
      {all.length > 0 && list.studies.length > 0 && <h2 class="beside">Other runs</h2>}
      {all.length === 0 ? (
        list.studies.length === 0 && <NoRuns />
      ) : runs.length === 0 ? (
        <Empty>No run matches “{filter}”.</Empty>
      ) : (
        <Table runs={runs} sort={sort} onSort={setSort} ticked={ticked} onTick={tick} />
      )}
    </>
  );
}

function NoRuns() {
  return (
    <Empty>
      There is no run in this folder yet. A run that <code>npx reanchor train RECIPE</code> starts here appears by
      itself; <code>npx reanchor quickstart</code> makes some.
    </Empty>
  );
}

interface ToolsProps {
  filter: string;
  onFilter: (filter: string) => void;
  chosen: readonly string[];
}

function Tools({ filter, onFilter, chosen }: ToolsProps) {
  return (
    <div class="tools">
      <label>
        <span class="hidden">Filter runs</span>
        <input
          type="search"
          placeholder="Filter: name, method, model…"
          value={filter}
          onInput={(event) => onFilter(event.currentTarget.value)}
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
  );
}

interface TableProps {
  runs: readonly RunSummary[];
  sort: Sort;
  onSort: (sort: Sort) => void;
  ticked: ReadonlySet<string>;
  onTick: (id: string) => void;
}

function Table({ runs, sort, onSort, ticked, onTick }: TableProps) {
  return (
    <table class="runs">
      <caption class="hidden">Runs, newest numbers of each</caption>
      <thead>
        <tr>
          <th scope="col">
            <span class="hidden">Compare</span>
          </th>
          {columns.map((column) => (
            <Heading key={column.key} column={column} sort={sort} onSort={onSort} />
          ))}
          <th scope="col">Course</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <Row key={run.id} run={run} isTicked={ticked.has(run.id)} onTick={() => onTick(run.id)} />
        ))}
      </tbody>
    </table>
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
      <Scroll label="Table of studies">
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
                  <Name href={studyHref(id)}>{id}</Name>
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
      </Scroll>
    </section>
  );
}

function Row({ run, isTicked, onTick }: { run: RunSummary; isTicked: boolean; onTick: () => void }) {
  const progress = run.steps ? Math.min(1, run.step / run.steps) : undefined;
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
        <Name href={runHref(run.id)}>{run.id}</Name>
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
        {number(newestValue(run, 'rewards/accuracies'))}
      </td>
      <td data-label="KL" {...kind}>
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
