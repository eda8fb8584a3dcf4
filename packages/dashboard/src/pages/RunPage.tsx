import { useEffect, useMemo, useState } from 'preact/hooks';
import type { RunSeriesData, RunState, SeriesPoints } from 'reanchor/serve';
import { Chart } from '../charts/Chart.js';
import { type Line, lineOf, valueAt } from '../charts/lines.js';
import { fetchSeries, useRuns } from '../data/stream.js';
import { ago, baseName, count, date, duration, modelName, number, percent, whole } from '../format.js';
import { type ChartSpec, chartSections, metricText } from '../metrics.js';
import { Title } from '../parts/Header.js';
import { Headlines } from '../parts/Headlines.js';
import { Recipe } from '../parts/Recipe.js';
import { Samples } from '../parts/Samples.js';
import { Empty, Lost, Status } from '../parts/small.js';
import { useView, type View, ViewControls } from '../parts/ViewControls.js';

export function RunPage({ id }: { id: string }) {
  const { states, problems, connection } = useRuns([id]);
  const state = states.get(id);
  const problem = problems.get(id);
  return (
    <>
      <p class="crumbs">
        <a href="#/">Runs</a>
      </p>
      <Title>{id}</Title>
      <Lost connection={connection} />
      {problem && <p class="banner warn">{problem}</p>}
      {state ? <Run state={state} /> : !problem && <Empty>Reading the run…</Empty>}
    </>
  );
}

function Run({ state }: { state: RunState }) {
  const { info, summary, log } = state;
  const [view, setView] = useView();
  const data = useZoom(state, view.range);
  const lastStep = state.steps.steps.at(-1) ?? 0;
  const charts = { data, view, onView: setView, fileName: baseName(state.id) };
  return (
    <>
      <Unfinished state={state} />
      <Facts state={state} />
      {state.read < 1 && (
        <p class="banner" role="status">
          A sketch from samples of a long file, of which {percent(state.read)} has been read; every value follows in a
          moment.
        </p>
      )}
      {summary.problem && <p class="banner warn">{summary.problem}</p>}
      {log.stopped && (
        <p class="banner" role="status">
          <b>It ended before its last step, as its recipe says:</b> {log.stopped.message}
        </p>
      )}
      <Headlines evaluations={state.evaluations} steps={state.steps} />
      {lastStep > 1 && <ViewControls last={lastStep} view={view} onView={setView} />}
      <Sections title="Training" points={data.steps} {...charts} />
      {log.samples.length > 0 && <Samples runs={[log]} />}
      <Sections
        title="Evaluation"
        note="On rows that are not trained on; rewards against the initial model, wherever the reference is."
        points={data.evaluations}
        {...charts}
      />
      <Events state={state} />
      {info && <Recipe info={info} />}
    </>
  );
}

/** Why a run has fewer steps than it was to have. */
function Unfinished({ state: { log, summary } }: { state: RunState }) {
  const { status, step, steps } = summary;
  const after = `after step ${whole(step)}${steps === undefined ? '' : ` of ${whole(steps)}`}`;
  if (log.failed && status === 'failed') {
    return (
      <p class="banner bad" role="alert">
        <b>It ended with an error after step {whole(log.failed.step)}:</b> {log.failed.message}
      </p>
    );
  }
  if (status === 'stopped') {
    return (
      <p class="banner bad" role="alert">
        <b>It stopped {after} and did not say why.</b> Its process is gone, as after a kill or a restart of the machine,
        or has said nothing for long. The command below with <code>--resume</code> goes on from its last checkpoint.
      </p>
    );
  }
  if (status !== 'interrupted') return null;
  return (
    <p class="banner warn" role="status">
      <b>It was ended {after}.</b> The command below with <code>--resume</code> goes on from there.
    </p>
  );
}

/** The series of the steps that are looked at: those of the whole run, or a part of it in more detail. */
function useZoom(state: RunState, range: readonly [number, number] | undefined): RunSeriesData {
  const [part, setPart] = useState<{ range: readonly [number, number]; data: RunSeriesData }>();
  const isWhole = range === undefined || state.steps.width === 1;
  const reaches = range !== undefined && range[1] >= (state.steps.steps.at(-1) ?? 0);
  const newest = reaches ? state.steps.steps.at(-1) : 0;
  // A part at the end of the run grows with it.
  useEffect(() => {
    if (isWhole) return;
    let isCurrent = true;
    fetchSeries(state.id, ...range).then(
      (data) => isCurrent && setPart({ range, data }),
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [state.id, state.generation, range, isWhole, newest]);
  return isWhole || part?.range !== range ? state : part.data;
}

interface SectionsProps {
  title: string;
  note?: string;
  points: SeriesPoints;
  data: RunSeriesData;
  view: View;
  onView: (view: View) => void;
  fileName: string;
}

function Sections({ title, note, points, data, view, onView, fileName }: SectionsProps) {
  const sections = useMemo(() => chartSections(Object.keys(points.metrics)), [Object.keys(points.metrics).join()]);
  if (points.steps.length === 0) return null;
  return (
    <section class="group" aria-labelledby={`group-${title}`}>
      <h2 id={`group-${title}`}>{title}</h2>
      {note && <p class="sub">{note}</p>}
      {points.steps.length === 1 && <Numbers points={points} />}
      {(points.steps.length === 1 ? [] : sections).map((section) => (
        <div key={section.title}>
          <p class="kind">{section.title}</p>
          <div class="charts">
            {section.charts.map((chart) => (
              <Chart
                key={chart.title}
                title={chart.title}
                unit={chart.unit}
                xLabel="step"
                metrics={chart.metrics}
                lines={linesOf(chart, points)}
                marks={data.updates}
                range={view.range}
                onRange={(range) => onView({ ...view, range })}
                smoothing={title === 'Training' && !chart.isState ? view.smoothing : 0}
                fileName={`${fileName}-${title}`}
              />
            ))}
          </div>
        </div>
      ))}
    </section>
  );
}

/** What was measured once: a point is no curve. */
function Numbers({ points: { steps, metrics } }: { points: SeriesPoints }) {
  const charts = chartSections(Object.keys(metrics)).flatMap((section) => section.charts);
  return (
    <>
      <p class="kind">{steps[0] === 0 ? 'Before training' : `After step ${whole(steps[0]!)}`}</p>
      <dl class="keys">
        {charts
          .flatMap((chart) => chart.metrics)
          .map((name) => (
            <div key={name}>
              <dt>{metricText(name).title}</dt>
              <dd>
                {valueAt(lineOf('', 0, { width: 1, steps, metrics }, name), steps[0]!)}{' '}
                <span class="unit">{metricText(name).unit}</span>
              </dd>
            </div>
          ))}
      </dl>
    </>
  );
}

function linesOf({ metrics }: ChartSpec, points: SeriesPoints): Line[] {
  return metrics.map((name, i) => {
    const { title, label = title } = metricText(name);
    return lineOf(metrics.length > 1 ? label : title, i, points, name);
  });
}

function Facts({ state: { info, summary, log, updateCount } }: { state: RunState }) {
  const { status, step, steps, lastEvent, metrics } = summary;
  const seconds =
    log.end?.seconds ?? (info && lastEvent ? (Date.parse(lastEvent) - Date.parse(info.time)) / 1000 : undefined);
  const left = status === 'running' && steps && step > 0 && seconds ? (seconds / step) * (steps - step) : undefined;
  const facts: [string, string | undefined][] = [
    ['Method', [summary.method, summary.reference === 'none' ? '' : summary.reference].filter(Boolean).join(' · ')],
    ['Model', summary.model && modelName(summary.model)],
    ['Steps', `${whole(step)}${steps === undefined ? '' : ` of ${whole(steps)}`}`],
    [
      'Reference updates',
      `${whole(updateCount)}${log.start?.referenceUpdates === undefined ? '' : ` of ${whole(log.start.referenceUpdates)}`}`,
    ],
    [
      'Rows',
      log.start &&
        `${whole(log.start.rows)}${log.start.validationRows > 0 ? ` + ${whole(log.start.validationRows)} to evaluate on` : ''}`,
    ],
    ['Parameters', log.start && count(log.start.parameters)],
    ['Duration', seconds === undefined ? undefined : duration(Math.max(0, seconds))],
    ['Time left', left === undefined ? undefined : `about ${duration(left)}`],
    ['Speed', metrics.tokens_per_second ? `${number(metrics.tokens_per_second)} tokens/s` : undefined],
    ['Started', info && date(info.time)],
  ];
  return (
    <dl class="facts">
      <div>
        <dt>Status</dt>
        <dd>
          <Status status={status} />
          {status === 'running' && lastEvent && <span class="of"> {ago(lastEvent)}</span>}
        </dd>
      </div>
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

function Events({ state: { log, checkpoints } }: { state: RunState }) {
  const { warnings, moreWarnings, skipped, saved, resumed, badLines } = log;
  const skippedRows = skipped.reduce((sum, { count }) => sum + count, 0);
  const said = [warnings, skipped, saved, resumed, checkpoints];
  if (badLines === 0 && said.every(({ length }) => length === 0)) return null;
  return (
    <section class="group" aria-labelledby="events">
      <h2 id="events">What the run said</h2>
      {badLines > 0 && (
        <p class="note warn">
          {whole(badLines)} {badLines === 1 ? 'line' : 'lines'} of events.jsonl cannot be understood and{' '}
          {badLines === 1 ? 'is' : 'are'} left out.
        </p>
      )}
      {warnings.length > 0 && (
        <>
          <h3>Warnings</h3>
          <ul class="warnings">
            {warnings.map(({ message }, i) => (
              <li key={`${i} ${message}`}>{message}</li>
            ))}
            {moreWarnings > 0 && <li>and {whole(moreWarnings)} more</li>}
          </ul>
        </>
      )}
      {skipped.length > 0 && (
        <>
          <h3>{whole(skippedRows)} rows left out</h3>
          <ul>
            {skipped.map(({ reason, file, count }) => (
              <li key={`${reason} ${file}`}>
                {whole(count)} of <code>{baseName(file)}</code>: {reason}
              </li>
            ))}
          </ul>
        </>
      )}
      {resumed.length > 0 && (
        <>
          <h3>Gone on after a break</h3>
          <ul>
            {resumed.map(({ step, time }) => (
              <li key={`${step} ${time}`}>
                from step {whole(step)} <span class="of">{date(time)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {saved.length + checkpoints.length > 0 && (
        <>
          <h3>Saved</h3>
          <ul>
            {checkpoints.map(({ name, time }) => (
              <li key={name}>
                <code>checkpoints/{name}</code> <span class="of">{date(time)}</span>
              </li>
            ))}
            {saved.map(({ folder, time }) => (
              <li key={folder}>
                <code>{folder.split(/[\\/]/).slice(-2).join('/')}</code> <span class="of">{date(time)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
