import { useState } from 'preact/hooks';
import type { RunState, SeriesPoints } from 'reanchor/serve';
import { Chart } from '../charts/Chart.js';
import { Front } from '../charts/Front.js';
import { frontsOf, qualityMetrics } from '../charts/front-lines.js';
import { lineOf, paletteSize } from '../charts/lines.js';
import { methodOf, runLabels } from '../data/labels.js';
import { differences } from '../data/recipe.js';
import { useRuns } from '../data/stream.js';
import { number, whole } from '../format.js';
import { chartSections, metricText, newestValue } from '../metrics.js';
import { Title } from '../parts/Header.js';
import { Samples } from '../parts/Samples.js';
import { Empty, Lost, Name, Scroll, Status } from '../parts/small.js';
import { type Column, Heading, type Sort, sorted } from '../parts/sort.js';
import { useView, type View, ViewControls } from '../parts/ViewControls.js';
import { runHref } from '../router.js';

/** Runs in one chart at most: more colours cannot be told apart. */
const most = paletteSize;

export function ComparePage({ ids }: { ids: string[] }) {
  const compared = ids.slice(0, most);
  const { states, problems, connection } = useRuns(compared);
  const runs = compared.flatMap((id) => states.get(id) ?? []);
  return (
    <>
      <p class="crumbs">
        <a href="#/">Runs</a>
      </p>
      <Title>{`Comparison of ${compared.length} runs`}</Title>
      <Lost connection={connection} />
      {ids.length > most && (
        <p class="note warn">
          The first {most} of {ids.length} runs are shown.
        </p>
      )}
      {[...problems].map(([id, problem]) => (
        <p class="banner warn" key={id}>
          {problem}
        </p>
      ))}
      {runs.length === 0 ? (
        <Empty>{compared.length === 0 ? 'Tick runs in the list to compare them.' : 'Reading the runs…'}</Empty>
      ) : (
        <Comparison runs={runs} ids={compared} />
      )}
    </>
  );
}

interface Compared {
  state: RunState;
  /** What differs between it and the others. */
  name: string;
  color: number;
}

function Comparison({ runs, ids }: { runs: readonly RunState[]; ids: readonly string[] }) {
  const [view, setView] = useView();
  const names = runLabels(runs);
  const compared = runs.map((state, i) => ({ state, name: names[i]!, color: ids.indexOf(state.id) }));
  const last = Math.max(...runs.map(({ steps }) => steps.steps.at(-1) ?? 0));
  return (
    <>
      <Table compared={compared} />
      <Quality compared={compared} />
      {last > 1 && <ViewControls last={last} view={view} onView={setView} />}
      {(['steps', 'evaluations'] as const).map((kind) => (
        <Overlays
          key={kind}
          title={kind === 'steps' ? 'Training' : 'Evaluation'}
          compared={compared}
          kind={kind}
          view={view}
          onView={setView}
        />
      ))}
      <Samples runs={compared.map(({ state, ...named }) => ({ ...named, samples: state.log.samples }))} />
      <Differences compared={compared} />
    </>
  );
}

/** Nothing where no run measures both. */
function Quality({ compared }: { compared: readonly Compared[] }) {
  const qualities = qualityMetrics(compared.map(({ state }) => state));
  const [chosen, choose] = useState<string>();
  const shown = chosen !== undefined && qualities.includes(chosen) ? chosen : qualities[0];
  if (shown === undefined) return null;
  return (
    <section class="group" aria-labelledby="front">
      <h2 id="front">Quality against KL</h2>
      <p class="sub">
        Each line is a run, each point an evaluation with its step. At equal KL the higher run is the better one.{' '}
        {qualities.length > 1 && (
          <label>
            Quality{' '}
            <select value={shown} onChange={(event) => choose(event.currentTarget.value)}>
              {qualities.map((name) => (
                <option key={name} value={name}>
                  {metricText(name).title}
                </option>
              ))}
            </select>
          </label>
        )}
      </p>
      <Front quality={shown} fronts={frontsOf(compared, shown)} />
    </section>
  );
}

const newest = (name: string) => ({
  value: ({ state }: Compared) => newestValue(state.summary, name),
  isNumber: true,
  of: 'of the last evaluation; of the last training step where a run has none',
});

const columns: Column<Compared>[] = [
  { key: 'name', title: 'Run', value: ({ name }) => name },
  { key: 'status', title: 'Status', value: ({ state }) => state.summary.status },
  { key: 'method', title: 'Method', value: ({ state }) => methodText(state) },
  { key: 'step', title: 'Steps', value: ({ state }) => state.summary.step, isNumber: true },
  { key: 'updates', title: 'Updates', value: ({ state }) => state.updateCount, isNumber: true },
  { key: 'loss', title: 'Loss', value: ({ state }) => state.summary.metrics.loss ?? null, isNumber: true },
  { key: 'margin', title: 'Margin', ...newest('rewards/margins') },
  { key: 'accuracy', title: 'Accuracy', ...newest('rewards/accuracies') },
  { key: 'kl', title: 'KL, nats', ...newest('kl/initial') },
  { key: 'length', title: 'Length, tokens', ...newest('length/mean') },
];

const methodText = ({ summary: { method, reference } }: RunState) => [method, reference].filter(Boolean).join(' · ');

/** Sorted by the method, at first, the runs of each stand under its name. */
function Table({ compared }: { compared: readonly Compared[] }) {
  const [sort, setSort] = useState<Sort>({ key: 'method', isDown: false });
  const rows = sorted(compared, columns, sort);
  const methods = sort.key === 'method' ? [...new Set(rows.map(({ state }) => methodOf(state.summary)))] : [undefined];
  const groups = methods.map((method) => ({
    method,
    own: rows.filter(({ state }) => method === undefined || methodOf(state.summary) === method),
  }));
  return (
    <Scroll label="The runs and their newest numbers">
      <table class="plain compared">
        <caption class="hidden">The runs and their newest numbers</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <Heading key={column.key} column={column} sort={sort} onSort={setSort} />
            ))}
          </tr>
        </thead>
        {groups.map(({ method, own }) => (
          <tbody key={method}>
            {groups.length > 1 && (
              <tr>
                <th scope="rowgroup" class="kind" colSpan={columns.length}>
                  {method}
                </th>
              </tr>
            )}
            {own.map((run) => (
              <Row key={run.state.id} run={run} />
            ))}
          </tbody>
        ))}
      </table>
    </Scroll>
  );
}

function Row({ run }: { run: Compared }) {
  const { state, name, color } = run;
  const { id, summary } = state;
  return (
    <tr>
      <th scope="row">
        <span class="named">
          <i class={`swatch c${color}`} />
          <Name href={runHref(id)} title={id}>
            {name}
          </Name>
        </span>
      </th>
      <td>
        <Status status={summary.status} />
      </td>
      <td>{methodText(state)}</td>
      {columns.slice(3).map(({ key, value }) => (
        <td key={key} class="number">
          {key === 'step' || key === 'updates' ? whole(value(run) as number) : number(value(run) as number | null)}
        </td>
      ))}
    </tr>
  );
}

function Overlays({
  title,
  compared,
  kind,
  view,
  onView,
}: {
  title: string;
  compared: readonly Compared[];
  kind: 'steps' | 'evaluations';
  view: View;
  onView: (view: View) => void;
}) {
  const points = (run: Compared): SeriesPoints => run.state[kind];
  const names = [...new Set(compared.flatMap((run) => Object.keys(points(run).metrics)))];
  // One metric a chart: its lines are the runs.
  const metrics = chartSections(names).flatMap((section) => section.charts.flatMap((chart) => chart.metrics));
  if (metrics.length === 0) return null;
  return (
    <section class="group" aria-labelledby={`overlay-${kind}`}>
      <h2 id={`overlay-${kind}`}>{title}</h2>
      <div class="charts">
        {metrics.map((metric) => {
          const { title: name, unit, isState } = metricText(metric);
          const lines = compared.flatMap((run) => {
            const values = points(run).metrics[metric];
            return values ? [lineOf(run.name, run.color, points(run), metric)] : [];
          });
          return (
            <Chart
              key={metric}
              title={name}
              unit={unit}
              xLabel="step"
              metrics={[metric]}
              lines={lines}
              range={view.range}
              onRange={(range) => onView({ ...view, range })}
              smoothing={kind === 'steps' && !isState ? view.smoothing : 0}
              fileName={`comparison-${title}`}
            />
          );
        })}
      </div>
    </section>
  );
}

function Differences({ compared }: { compared: readonly Compared[] }) {
  const known = compared.filter(({ state }) => state.info);
  if (known.length < 2) return null;
  const rows = differences(known.map(({ state }) => state.info!.recipe));
  return (
    <section class="group" aria-labelledby="differences">
      <h2 id="differences">Where the recipes differ</h2>
      {rows.length === 0 ? (
        <Empty>They are the same, but for what they were run on.</Empty>
      ) : (
        <Scroll label="Where the recipes differ">
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">Key</th>
                {known.map(({ name, color }) => (
                  <th scope="col" key={name}>
                    <i class={`swatch c${color}`} /> {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, values }) => (
                <tr key={key}>
                  <th scope="row">
                    <code>{key}</code>
                  </th>
                  {values.map((value, i) => (
                    <td key={known[i]!.name}>{value ?? '–'}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}
