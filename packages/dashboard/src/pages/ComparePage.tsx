import { useState } from 'preact/hooks';
import type { RunState, SeriesPoints } from 'reanchor/serve';
import { Chart } from '../charts/Chart.js';
import { Front, frontsOf, qualityMetrics } from '../charts/Front.js';
import { lineOf, paletteSize } from '../charts/lines.js';
import { differences } from '../data/recipe.js';
import { useRuns } from '../data/stream.js';
import { number, shortNames, whole } from '../format.js';
import { chartSections, metricText, newestValue } from '../metrics.js';
import { Title } from '../parts/Header.js';
import { SamplesOfRuns } from '../parts/Samples.js';
import { Empty, Lost, Scroll, Status } from '../parts/small.js';
import { type View, ViewControls, wholeView } from '../parts/ViewControls.js';
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
  name: string;
  color: number;
}

function Comparison({ runs, ids }: { runs: readonly RunState[]; ids: readonly string[] }) {
  const [view, setView] = useState(wholeView);
  const names = shortNames(ids);
  const compared = runs.map((state) => {
    const color = ids.indexOf(state.id);
    return { state, name: names[color]!, color };
  });
  const last = Math.max(...runs.map(({ steps }) => steps.steps.at(-1) ?? 0));
  const qualities = qualityMetrics(runs);
  const [quality, setQuality] = useState<string>();
  const shown = quality !== undefined && qualities.includes(quality) ? quality : qualities[0];
  return (
    <>
      <Table compared={compared} />
      {shown !== undefined && (
        <section class="group" aria-labelledby="front">
          <h2 id="front">Quality against KL</h2>
          <p class="sub">
            Each line is a run, each point an evaluation, from left to right over training. At equal KL the higher run
            is the better one.{' '}
            {qualities.length > 1 && (
              <label>
                Quality{' '}
                <select value={shown} onChange={(event) => setQuality(event.currentTarget.value)}>
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
      )}
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
      <SamplesOfRuns runs={compared.map(({ state, ...named }) => ({ ...named, samples: state.log.samples }))} />
      <Differences compared={compared} />
    </>
  );
}

function Table({ compared }: { compared: readonly Compared[] }) {
  return (
    <Scroll label="The runs and their newest numbers">
      <table class="plain">
        <caption class="hidden">The runs and their newest numbers</caption>
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col">Method</th>
            <th scope="col" class="number">
              Steps
            </th>
            <th scope="col" class="number">
              Updates
            </th>
            <th scope="col" class="number">
              Loss
            </th>
            <th scope="col" class="number">
              Margin
            </th>
          </tr>
        </thead>
        <tbody>
          {compared.map(({ state: { id, summary, updateCount }, name, color }) => (
            <tr key={id}>
              <th scope="row">
                <i class={`swatch c${color}`} /> <a href={runHref(id)}>{name}</a>
              </th>
              <td>
                <Status status={summary.status} />
              </td>
              <td>
                {summary.method} <span class="reference">{summary.reference}</span>
              </td>
              <td class="number">{whole(summary.step)}</td>
              <td class="number">{whole(updateCount)}</td>
              <td class="number">{number(summary.metrics.loss)}</td>
              <td class="number">{number(newestValue(summary, 'rewards/margins'))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
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
          const { title: name, unit } = metricText(metric);
          const lines = compared.flatMap((run) => {
            const values = points(run).metrics[metric];
            return values ? [lineOf(run.name, run.color, points(run).steps, values)] : [];
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
              smoothing={kind === 'steps' ? view.smoothing : 0}
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
