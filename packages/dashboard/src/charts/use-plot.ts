/** The life of a chart's plot: drawn when it is about to be seen, anew where it changes in kind, and on paper. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { isOnPaper, useTheme } from '../theme.js';
import type { ChartData } from './lines.js';
import { Plot } from './plot.js';

const height = 210;
/** Of a chart on paper, where two stand beside each other, in pixels. */
const paperWidth = 330;

export interface PlottedChart extends ChartData {
  /** The steps that are shown; undefined: all. */
  range?: readonly [number, number] | undefined;
  onRange?: ((range: readonly [number, number]) => void) | undefined;
}

/** The element that the plot is drawn in, and the step under the pointer; undefined when there is none. */
export function usePlot(chart: PlottedChart) {
  const { lines, marks, range } = chart;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot>(undefined);
  const latest = useRef(chart);
  latest.current = chart;
  const [step, setStep] = useState<number>();
  const theme = useTheme();
  // uPlot has a fixed number of series, so another set of lines is another plot.
  const structure = lines.map(({ name, color, min, smooth }) => `${name} ${color} ${!min} ${!smooth}`).join('\n');

  const draw = (width = place.current!.clientWidth) => {
    plot.current ??= new Plot(place.current!, {
      chart: () => latest.current,
      width,
      height,
      range: () => latest.current.range,
      onCursor: setStep,
      onRange: (from, to) => latest.current.onRange?.([Math.max(0, Math.floor(from)), Math.ceil(to)]),
    });
  };
  const erase = () => {
    plot.current?.destroy();
    plot.current = undefined;
  };

  // Colours change with the theme.
  useEffect(() => {
    const element = place.current!;
    const watching = [whenSeen(element, draw), whenResized(element, (width) => plot.current?.resize(width, height))];
    // Paper shows all charts, those too that nobody has looked at, in its own colours and width.
    const redraw = () => {
      erase();
      draw(isOnPaper() ? paperWidth : undefined);
    };
    if (isOnPaper()) redraw();
    watching.push(aroundPrinting(redraw));
    return () => {
      for (const stop of watching) stop();
      erase();
    };
  }, [structure, theme]);

  // The plot reads them through `latest`.
  useEffect(() => plot.current?.update(), [lines, marks, range]);
  return { place, plot, draw, step };
}

/** Drawing is most of the work of a page: a chart that is far from being seen waits. */
function whenSeen(element: HTMLElement, then: () => void): () => void {
  const seen = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      then();
      seen.disconnect();
    },
    { rootMargin: '200px' },
  );
  seen.observe(element);
  return () => seen.disconnect();
}

function whenResized(element: HTMLElement, then: (width: number) => void): () => void {
  const resized = new ResizeObserver(() => element.clientWidth > 0 && then(element.clientWidth));
  resized.observe(element);
  return () => resized.disconnect();
}

function aroundPrinting(then: () => void): () => void {
  for (const type of printing) window.addEventListener(type, then);
  return () => {
    for (const type of printing) window.removeEventListener(type, then);
  };
}
const printing = ['beforeprint', 'afterprint'];
