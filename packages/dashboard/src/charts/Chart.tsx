import { useId, useMemo } from 'preact/hooks';
import { whole } from '../format.js';
import { Help } from '../parts/Help.js';
import { download } from './download.js';
import { describe, type Line, smoothed, toCsv, valueAt } from './lines.js';
import type { Plot } from './plot.js';
import { toSvg } from './svg.js';
import { type PlottedChart, usePlot } from './use-plot.js';

interface ChartProps extends PlottedChart {
  /** Metrics whose meaning is told. */
  metrics?: readonly string[];
  /** The beginning of the names of exported files. */
  fileName: string;
  /** How much of what was before stays in the running mean, from 0 (which is not drawn) to below 1. */
  smoothing?: number;
}

/** Curves over steps, with a pointer for mouse and keys, and its data as SVG and CSV. */
export function Chart(props: ChartProps) {
  const { title, unit, marks, xLabel, metrics = [], smoothing = 0 } = props;
  const lines = useMemo(() => {
    const jumps = (marks ?? []).flatMap(({ step, share }) => (share === 1 ? [step] : []));
    return props.lines.map((line) => smoothed(line, smoothing, jumps));
  }, [props.lines, marks, smoothing]);
  const { place, plot, draw, step } = usePlot({ ...props, lines });
  const id = useId();
  const last = Math.max(...lines.map((line) => line.steps.at(-1) ?? 0));
  const shown = step ?? last;
  const values = lines.map((line) => `${line.name} ${valueAt(line, shown)}`).join(', ');
  const notFinite = lines.reduce((sum, line) => sum + (line.notFinite ?? 0), 0);
  return (
    <figure class="chart" aria-labelledby={`${id}-title`}>
      <figcaption>
        <div>
          <h3 id={`${id}-title`}>{title}</h3> {unit && <span class="unit">{unit}</span>}{' '}
          {metrics.length > 0 && <Help title={title} metrics={metrics} />}
        </div>
        <Exports {...props} lines={lines} />
      </figcaption>
      <Legend lines={lines} step={shown} xLabel={xLabel} isAtEnd={step === undefined} />
      <div
        ref={place}
        class="plot"
        role="slider"
        tabIndex={0}
        aria-label={`${title} by ${xLabel}`}
        aria-valuemin={0}
        aria-valuemax={last}
        aria-valuenow={shown}
        aria-valuetext={`${xLabel} ${shown}: ${values}`}
        aria-describedby={`${id}-words`}
        onFocus={() => draw()}
        onKeyDown={(event) => moveBy(event, plot.current, step)}
      />
      <p id={`${id}-words`} class="hidden">
        {describe(props)}
      </p>
      {notFinite > 0 && <p class="note warn">{notFinite} values are NaN or infinite and not drawn.</p>}
    </figure>
  );
}

/** Arrows go to the next point, Page Up and Down a tenth of all, Home and End to the first and the last. */
function moveBy(event: KeyboardEvent, plot: Plot | undefined, step: number | undefined) {
  const steps = plot?.steps ?? [];
  if (steps.length === 0) return;
  const at = step === undefined ? steps.length - 1 : steps.indexOf(step);
  const page = Math.max(1, Math.round(steps.length / 10));
  const moves: Record<string, number> = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    PageDown: at - page,
    PageUp: at + page,
    Home: 0,
    End: steps.length - 1,
  };
  const to = moves[event.key];
  if (to === undefined) return;
  event.preventDefault();
  plot!.point(Math.min(steps.length - 1, Math.max(0, to)));
}

function Exports(chart: ChartProps) {
  const { title, fileName } = chart;
  const save = (kind: 'svg' | 'csv') => {
    const name = `${fileName}-${title}.${kind}`;
    if (kind === 'svg') download(name, 'image/svg+xml', toSvg(chart));
    else download(name, 'text/csv', toCsv(chart));
  };
  return (
    <span class="exports">
      <button type="button" class="quiet" onClick={() => save('svg')} aria-label={`${title}: save as SVG`}>
        SVG
      </button>
      <button type="button" class="quiet" onClick={() => save('csv')} aria-label={`${title}: save data as CSV`}>
        CSV
      </button>
    </span>
  );
}

interface LegendProps {
  lines: readonly Line[];
  step: number;
  xLabel: string;
  isAtEnd: boolean;
}

function Legend({ lines, step, xLabel, isAtEnd }: LegendProps) {
  return (
    <p class="legend" aria-hidden="true">
      {lines.map((line) => (
        <span key={line.name}>
          <i class={`swatch c${line.color}`} />
          {lines.length > 1 && <span class="name">{line.name}</span>}
          <b>{valueAt(line, step)}</b>
        </span>
      ))}
      <span class="at">
        {isAtEnd ? 'last, ' : ''}
        {xLabel} {whole(step)}
      </span>
    </p>
  );
}
