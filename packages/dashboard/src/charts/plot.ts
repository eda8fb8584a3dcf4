/** The one file that knows uPlot. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { ReferenceMark } from 'reanchor/serve';
import { number, whole } from '../format.js';
import type { ChartData, Line } from './lines.js';

export interface PlotOptions {
  chart: () => ChartData;
  width: number;
  height: number;
  /** The steps that are shown; undefined: all. */
  range: () => readonly [number, number] | undefined;
  /** The step under the pointer; undefined when there is none. */
  onCursor(step: number | undefined): void;
  /** Steps that were marked by dragging. */
  onRange(from: number, to: number): void;
}

/** Charts whose pointers move together. */
const together = uPlot.sync('charts');
/** Marks closer than this, in pixels, are drawn as ticks along the bottom. */
const closeMarks = 5;

export class Plot {
  readonly #plot: uPlot;
  readonly #options: PlotOptions;

  constructor(element: HTMLElement, options: PlotOptions) {
    this.#options = options;
    const { lines } = options.chart();
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: color('--muted'),
      grid: { stroke: color('--grid'), width: 1 },
      ticks: { show: false },
      font: `12px ${style.fontFamily}`,
      gap: 6,
    };
    const config: uPlot.Options = {
      width: options.width,
      height: options.height,
      legend: { show: false },
      padding: [8, 24, 0, 0],
      cursor: {
        sync: { key: together.key, setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
      },
      scales: {
        x: { time: false, range: (_, low, high) => this.#xRange(low, high) },
        y: { range: (_, low, high) => yRange(low, high) },
      },
      axes: [
        {
          ...axis,
          size: 30,
          space: 70,
          values: (_, splits) => splits.map((split) => (Number.isInteger(split) ? whole(split) : '')),
        },
        { ...axis, size: 62, values: (_, splits) => splits.map(number) },
      ],
      series: [{}, ...lines.flatMap((line) => seriesOf(line, color(`--c${line.color}`)))],
      bands: bandsOf(lines, (line) => `${color(`--c${line.color}`)}26`),
      hooks: {
        drawClear: [(plot) => drawMarks(plot, options.chart().marks ?? [], color('--mark'))],
        setCursor: [(plot) => options.onCursor(this.#stepOf(plot))],
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width < 4) return;
            options.onRange(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'));
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    };
    this.#plot = new uPlot(config, tableOf(lines), element);
    together.sub(this.#plot);
  }

  /** Shows what the chart has now; it must have the same lines, with and without ranges, as at first. */
  update(): void {
    this.#plot.setData(tableOf(this.#options.chart().lines));
  }

  resize(width: number, height: number): void {
    this.#plot.setSize({ width, height });
  }

  /** The steps that have a value, in order. */
  get steps(): readonly number[] {
    return this.#plot.data[0] as number[];
  }

  /** Moves the pointer to a step. */
  point(index: number): void {
    const left = this.#plot.valToPos(this.steps[index]!, 'x');
    this.#plot.setCursor({ left, top: this.#plot.bbox.height / 2 / devicePixelRatio });
  }

  destroy(): void {
    together.unsub(this.#plot);
    this.#plot.destroy();
  }

  #xRange(low: number, high: number): [number, number] {
    const range = this.#options.range();
    if (range) return [range[0], Math.max(range[1], range[0] + 1)];
    return low === high ? [low - 1, high + 1] : [low, high];
  }

  #stepOf(plot: uPlot): number | undefined {
    const { idx } = plot.cursor;
    return idx === null || idx === undefined ? undefined : plot.data[0][idx];
  }
}

function yRange(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  if (low === high) return low === 0 ? [-1, 1] : [low - Math.abs(low) * 0.1, high + Math.abs(high) * 0.1];
  const room = (high - low) * 0.05;
  return [low - room, high + room];
}

/** The columns of a line: its band, its values, and its running mean over them, which then is the curve. */
function seriesOf({ name, mean, min, smooth }: Line, stroke: string): uPlot.Series[] {
  const isFew = mean.length <= 40;
  const points = isFew && !smooth ? { show: true, size: 5, fill: stroke } : { show: false };
  const edge: uPlot.Series = { stroke: 'transparent', width: 0, points: { show: false } };
  const values: uPlot.Series = {
    label: name,
    stroke: smooth ? `${stroke}59` : stroke,
    width: smooth ? 1 : 1.75,
    points,
  };
  const curve: uPlot.Series = { stroke, width: 2, points: { show: false } };
  return [...(min ? [edge, edge] : []), values, ...(smooth ? [curve] : [])].map((one) => ({ ...one, spanGaps: true }));
}

function bandsOf(lines: readonly Line[], fill: (line: Line) => string): uPlot.Band[] {
  let next = 1;
  return lines.flatMap((line) => {
    const first = next;
    next += columnsOf(line).length;
    return line.min ? [{ series: [first, first + 1] as uPlot.Band.Bounds, fill: fill(line) }] : [];
  });
}

const columnsOf = ({ mean, min, max, smooth }: Line) => [
  ...(min && max ? [max, min] : []),
  mean,
  ...(smooth ? [smooth] : []),
];

/** All lines over all their steps: undefined where a line has no point there, null where its value is none. */
function tableOf(lines: readonly Line[]): uPlot.AlignedData {
  const tables = lines.map((line) => [line.steps, ...columnsOf(line)] as unknown as uPlot.AlignedData);
  if (tables.length === 0) return [[], []];
  return tables.length === 1 ? tables[0]! : uPlot.join(tables);
}

function drawMarks(plot: uPlot, marks: readonly ReferenceMark[], color: string): void {
  const { ctx, bbox } = plot;
  const [low, high] = [plot.scales.x!.min!, plot.scales.x!.max!];
  const shown = marks.filter(({ step }) => step >= low && step <= high);
  if (shown.length === 0) return;
  const isClose = bbox.width / devicePixelRatio / shown.length < closeMarks || shown.some(({ count }) => count > 1);
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  if (!isClose) ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  const top = isClose ? bbox.top + bbox.height - 6 * devicePixelRatio : bbox.top;
  for (const { step } of shown) {
    const x = Math.round(plot.valToPos(step, 'x', true)) + 0.5;
    ctx.moveTo(x, top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}
