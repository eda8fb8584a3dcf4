import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import { number } from '../format.js';
import { Help } from '../parts/Help.js';
import { useTheme } from '../theme.js';
import { download } from './download.js';
import { type ChartData, describe, type Line, smoothed, toCsv, valueAt } from './lines.js';
import { Plot } from './plot.js';
import { toSvg } from './svg.js';

export interface ChartProps extends ChartData {
  /** Metrics whose meaning is told. */
  metrics?: readonly string[];
  /** The steps that are shown; undefined: all. */
  range?: readonly [number, number] | undefined;
  onRange?: ((range: readonly [number, number]) => void) | undefined;
  /** The beginning of the names of exported files. */
  fileName: string;
  /** How much of the value before stays in each drawn value, from 0 (none) to below 1; saved data is never smoothed. */
  smoothing?: number;
}

const height = 210;

/** Curves over steps, with a pointer for mouse and keys, and its data as SVG and CSV. */
export function Chart(props: ChartProps) {
  const { title, unit, marks, xLabel, metrics = [], range, fileName, smoothing = 0 } = props;
  const lines = useMemo(() => props.lines.map((line) => smoothed(line, smoothing)), [props.lines, smoothing]);
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot>(undefined);
  const latest = useRef(props);
  latest.current = { ...props, lines };
  const [step, setStep] = useState<number>();
  const theme = useTheme();
  const id = useId();
  // uPlot has a fixed number of series, so another set of lines is another plot.
  const structure = lines.map(({ name, color, min }) => `${name} ${color} ${min !== undefined}`).join('\n');

  const draw = () => {
    plot.current ??= new Plot(place.current!, {
      chart: () => latest.current,
      width: place.current!.clientWidth,
      height,
      range: () => latest.current.range,
      onCursor: setStep,
      onRange: (from, to) => latest.current.onRange?.([Math.max(0, Math.floor(from)), Math.ceil(to)]),
    });
  };

  // Colours change with the theme.
  useEffect(() => {
    const element = place.current!;
    // Drawing is most of the work of a page: a chart that is far from being seen waits.
    const seen = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        draw();
        seen.disconnect();
      },
      { rootMargin: '200px' },
    );
    seen.observe(element);
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.current?.resize(element.clientWidth, height);
    });
    resized.observe(element);
    return () => {
      seen.disconnect();
      resized.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [structure, theme]);

  // The plot reads them through `latest`.
  useEffect(() => plot.current?.update(), [lines, marks, range]);

  const onKey = (event: KeyboardEvent) => {
    const steps = plot.current?.steps ?? [];
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
    plot.current!.point(Math.min(steps.length - 1, Math.max(0, to)));
  };

  const shown = step ?? Math.max(...lines.map((line) => line.steps.at(-1) ?? 0));
  const values = lines.map((line) => `${line.name} ${number(valueAt(line, shown))}`).join(', ');
  const notFinite = lines.reduce((sum, line) => sum + (line.notFinite ?? 0), 0);
  const save = (kind: 'svg' | 'csv') => {
    const name = `${fileName}-${title}.${kind}`;
    if (kind === 'svg') download(name, 'image/svg+xml', toSvg({ ...props, lines }));
    else download(name, 'text/csv', toCsv(props));
  };
  return (
    <figure class="chart" aria-labelledby={`${id}-title`}>
      <figcaption>
        <h3 id={`${id}-title`}>{title}</h3>
        {metrics.length > 0 && <Help title={title} metrics={metrics} />}
        <span class="exports">
          <button type="button" class="quiet" onClick={() => save('svg')} aria-label={`${title}: save as SVG`}>
            SVG
          </button>
          <button type="button" class="quiet" onClick={() => save('csv')} aria-label={`${title}: save data as CSV`}>
            CSV
          </button>
        </span>
      </figcaption>
      <Legend lines={lines} unit={unit} step={shown} xLabel={xLabel} isAtEnd={step === undefined} />
      <div
        ref={place}
        class="plot"
        role="slider"
        tabIndex={0}
        aria-label={`${title} by ${xLabel}`}
        aria-valuemin={0}
        aria-valuemax={Math.max(...lines.map((line) => line.steps.at(-1) ?? 0))}
        aria-valuenow={shown}
        aria-valuetext={`${xLabel} ${shown}: ${values}`}
        aria-describedby={`${id}-words`}
        onFocus={draw}
        onKeyDown={onKey}
      />
      <p id={`${id}-words`} class="hidden">
        {describe(props)}
      </p>
      {notFinite > 0 && <p class="note warn">{notFinite} values are NaN or infinite and not drawn.</p>}
    </figure>
  );
}

interface LegendProps {
  lines: readonly Line[];
  unit: string | undefined;
  step: number;
  xLabel: string;
  isAtEnd: boolean;
}

function Legend({ lines, unit, step, xLabel, isAtEnd }: LegendProps) {
  return (
    <p class="legend" aria-hidden="true">
      {lines.map((line) => (
        <span key={line.name}>
          <i class={`swatch c${line.color}`} />
          {lines.length > 1 && <span class="name">{line.name}</span>}
          <b>{number(valueAt(line, step))}</b>
        </span>
      ))}
      <span class="at">
        {unit && `${unit}, `}
        {isAtEnd ? 'last, ' : ''}
        {xLabel} {number(step)}
      </span>
    </p>
  );
}
