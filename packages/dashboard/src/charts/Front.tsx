import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { number, whole } from '../format.js';
import { metricText } from '../metrics.js';
import { download } from './download.js';
import { type Box, type FrontLine, type FrontPoint, klName, placeLabels } from './front-lines.js';
import { type Scale, scale, ticks } from './svg.js';

const margin = { top: 14, right: 28, bottom: 44, left: 62 };

/** The picture's size, in pixels: as wide as the page. */
function useSize() {
  const place = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(720);
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const look = () => element.clientWidth > 0 && setWidth(element.clientWidth);
    look();
    const resized = new ResizeObserver(look);
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  return { place, width, height: Math.round(Math.min(520, Math.max(300, 0.4 * width))) };
}

/** Quality over KL, a line for every run, or for every method of a study with those that it was made from. */
export function Front({ quality, fronts }: { quality: string; fronts: readonly FrontLine[] }) {
  const { place, width, height } = useSize();
  const points = fronts.flatMap((front) => front.points);
  const title = metricText(quality).title;
  const named = fronts.filter(({ kind }) => kind === undefined);
  const heights = points.flatMap((p) => [p.quality, ...(p.interval ? [p.interval.low, p.interval.high] : [])]);
  const farthest = Math.max(1e-9, ...points.map(({ kl }) => kl));
  // Intervals of few seeds may go far beyond everything that was measured: they are cut off there.
  const most = Math.min(1.5 * farthest, 1.02 * Math.max(farthest, ...points.map((p) => p.klInterval?.high ?? 0)));
  const xTicks = ticks(0, most, width < 500 ? 4 : 8).filter((tick) => tick <= most);
  const yTicks = ticks(Math.min(...heights), Math.max(...heights), 6);
  const within = scale([0, most], margin.left, width - margin.right);
  const x: Scale = (kl) => within(Math.min(most, Math.max(0, kl)));
  const y = scale([yTicks[0]!, yTicks.at(-1)!], height - margin.bottom, margin.top);
  return (
    <figure class="chart front" ref={place}>
      <figcaption>
        <h3>{title}</h3>
        <span class="exports">
          <button type="button" class="quiet" onClick={saveSvg} aria-label="Quality against KL: save as SVG">
            SVG
          </button>
          <button
            type="button"
            class="quiet"
            onClick={() => saveCsv(fronts, quality)}
            aria-label="Quality against KL: save data as CSV"
          >
            CSV
          </button>
        </span>
      </figcaption>
      <p class="legend">
        {named.map(({ name, color }) => (
          <span key={name}>
            <i class={`swatch c${color}`} />
            <span class="name">{name}</span>
          </span>
        ))}
      </p>
      {points.length > 0 && (
        <svg width={width} height={height} role="img" aria-label={words(named, title)} id="front-picture">
          <Axes x={x} y={y} xTicks={xTicks} yTicks={yTicks} width={width} height={height} />
          {fronts.map((front) => (
            <Curve key={`${front.name} ${front.kind}`} front={front} x={x} y={y} />
          ))}
          <Labels fronts={named} x={x} y={y} box={{ left: margin.left, right: width, top: 0, bottom: height }} />
        </svg>
      )}
    </figure>
  );
}

interface Scales {
  x: Scale;
  y: Scale;
}

interface AxesProps extends Scales {
  xTicks: readonly number[];
  yTicks: readonly number[];
  width: number;
  height: number;
}

function Axes({ x, y, xTicks, yTicks, width, height }: AxesProps) {
  return (
    <>
      {yTicks.map((tick) => (
        <g key={tick}>
          <line class="grid" x1={margin.left} x2={width - margin.right} y1={y(tick)} y2={y(tick)} />
          <text x={margin.left - 8} y={y(tick) + 4} text-anchor="end">
            {number(tick)}
          </text>
        </g>
      ))}
      {xTicks.map((tick) => (
        <text key={tick} x={x(tick)} y={height - margin.bottom + 18} text-anchor="middle">
          {number(tick)}
        </text>
      ))}
      <text x={(margin.left + width - margin.right) / 2} y={height - 6} text-anchor="middle">
        KL to the initial model, nats
      </text>
    </>
  );
}

function Curve({ front: { name, color, points, kind }, x, y }: Scales & { front: FrontLine }) {
  const at = (kl: number, quality: number) => `${x(kl).toFixed(1)},${y(quality).toFixed(1)}`;
  const known = points.flatMap((p) => (p.interval ? [{ kl: p.kl, ...p.interval }] : []));
  const band = [...known.map((p) => at(p.kl, p.high)), ...known.toReversed().map((p) => at(p.kl, p.low))];
  return (
    <g class={`curve c${color} ${kind ?? ''}`}>
      {kind === 'mean' && known.length > 1 && <polygon points={band.join(' ')} />}
      <polyline points={points.map((p) => at(p.kl, p.quality)).join(' ')} />
      {kind === undefined && points.map((p) => <Point key={`${p.step} ${p.kl}`} name={name} point={p} x={x} y={y} />)}
    </g>
  );
}

/** A point with its intervals as crossing lines. */
function Point({ name, point: p, x, y }: Scales & { name: string; point: FrontPoint }) {
  return (
    <>
      {p.interval && <line x1={x(p.kl)} x2={x(p.kl)} y1={y(p.interval.low)} y2={y(p.interval.high)} />}
      {p.klInterval && <line x1={x(p.klInterval.low)} x2={x(p.klInterval.high)} y1={y(p.quality)} y2={y(p.quality)} />}
      <circle cx={x(p.kl)} cy={y(p.quality)} r="4">
        <title>{`${placeOf(name, p)}: ${number(p.quality)} at KL ${number(p.kl)}`}</title>
      </circle>
    </>
  );
}

/** Steps, or what else a point is called, where there is room for them. */
function Labels({ fronts, x, y, box }: Scales & { fronts: readonly FrontLine[]; box: Box }) {
  const wanted = fronts.flatMap(({ color, points }) =>
    points.flatMap((p, i) => {
      const text = p.label ?? (p.step === undefined ? '' : whole(p.step));
      const isEnd = i === 0 || i === points.length - 1;
      return text === '' ? [] : [{ text, color, x: x(p.kl), y: y(p.quality), isEnd }];
    }),
  );
  return (
    <>
      {placeLabels(wanted, box).map(({ text, color, left, middle }) => (
        <text key={`${left} ${middle}`} class={`label curve c${color}`} x={left} y={middle + 4}>
          {text}
        </text>
      ))}
    </>
  );
}

const placeOf = (name: string, { step, label }: FrontPoint) =>
  step === undefined ? [name, label].filter(Boolean).join(', ') : `${name}, step ${whole(step)}`;

function words(fronts: readonly FrontLine[], title: string): string {
  const texts = fronts.map(({ name, points }) => {
    const best = points.reduce((a, b) => (b.quality > a.quality ? b : a), points[0]!);
    return best ? `${placeOf(`${name}: best ${number(best.quality)} at KL ${number(best.kl)}`, best)}.` : '';
  });
  return `${title} against KL to the initial model. ${texts.join(' ')}`;
}

function saveCsv(fronts: readonly FrontLine[], quality: string) {
  const rows = fronts.flatMap(({ name, points }) =>
    points.map(({ step = '', kl, quality, interval }) => {
      const numbers = [step, kl, quality, interval?.low ?? '', interval?.high ?? ''];
      return [`"${name.replaceAll('"', '""')}"`, ...numbers].join(',');
    }),
  );
  download('quality-against-kl.csv', 'text/csv', `run,step,${klName},${quality},low,high\n${rows.join('\n')}\n`);
}

/** The picture as it is on the page, its colours written out. */
function saveSvg() {
  const picture = document.getElementById('front-picture') as unknown as SVGSVGElement;
  const copy = picture.cloneNode(true) as SVGSVGElement;
  const originals = [...picture.querySelectorAll('*')];
  for (const [i, element] of [...copy.querySelectorAll('*')].entries()) {
    const style = getComputedStyle(originals[i]!);
    for (const name of ['fill', 'fill-opacity', 'opacity', 'stroke', 'stroke-width', 'font-size', 'font-family']) {
      element.setAttribute(name, style.getPropertyValue(name));
    }
  }
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  download('quality-against-kl.svg', 'image/svg+xml', new XMLSerializer().serializeToString(copy));
}
