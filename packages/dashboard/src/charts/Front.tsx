import type { RunState } from 'reanchor/serve';
import { number } from '../format.js';
import { metricText } from '../metrics.js';
import { download } from './download.js';
import { type Scale, scale, ticks } from './svg.js';

export interface FrontLine {
  name: string;
  color: number;
  /** A point of no step is of several runs. */
  points: { step?: number | undefined; kl: number; quality: number }[];
  /** What is drawn beside the lines of the legend: thin, the course of a run, or the mean of several. */
  kind?: 'course' | 'mean';
}

const klName = 'kl/initial';

/** The metrics of evaluations that say how good a policy is, where KL is measured with them. */
export function qualityMetrics(runs: readonly RunState[]): string[] {
  const names = runs.flatMap(({ evaluations }) =>
    klName in evaluations.metrics ? Object.keys(evaluations.metrics) : [],
  );
  const isQuality = (name: string) => /gold|win|judge|accurac|margins|reward$/.test(name);
  const rank = (name: string) => (/gold|win|judge/.test(name) ? 0 : 1);
  return [...new Set(names)].filter(isQuality).sort((a, b) => rank(a) - rank(b));
}

export function frontsOf(
  runs: readonly { state: RunState; name: string; color: number }[],
  quality: string,
): FrontLine[] {
  return runs.map(({ state: { evaluations }, name, color }) => {
    const [kl, good] = [evaluations.metrics[klName]?.mean ?? [], evaluations.metrics[quality]?.mean ?? []];
    const points = evaluations.steps.flatMap((step, i) => {
      const [x, y] = [kl[i], good[i]];
      return typeof x === 'number' && typeof y === 'number' ? [{ step, kl: x, quality: y }] : [];
    });
    return { name, color, points };
  });
}

const [width, height] = [720, 380];
const margin = { top: 14, right: 20, bottom: 44, left: 62 };

/** Quality over KL, a line for every run, or for every method of a study with those that it was made from. */
export function Front({ quality, fronts }: { quality: string; fronts: readonly FrontLine[] }) {
  const points = fronts.flatMap((front) => front.points);
  if (points.length === 0) return null;
  const title = metricText(quality).title;
  const xTicks = ticks(0, Math.max(...points.map(({ kl }) => kl)), 8);
  const yTicks = ticks(Math.min(...points.map((p) => p.quality)), Math.max(...points.map((p) => p.quality)), 6);
  const x = scale([xTicks[0]!, xTicks.at(-1)!], margin.left, width - margin.right);
  const y = scale([yTicks[0]!, yTicks.at(-1)!], height - margin.bottom, margin.top);
  const named = fronts.filter(({ kind }) => kind === undefined);
  const save = () => {
    const rows = fronts.flatMap(({ name, points }) =>
      points.map((p) => `"${name.replaceAll('"', '""')}",${p.step ?? ''},${p.kl},${p.quality}`),
    );
    download('quality-against-kl.csv', 'text/csv', `run,step,${klName},${quality}\n${rows.join('\n')}\n`);
  };
  return (
    <figure class="chart front">
      <figcaption>
        <h3>{title}</h3>
        <span class="exports">
          <button type="button" class="quiet" onClick={saveSvg} aria-label="Quality against KL: save as SVG">
            SVG
          </button>
          <button type="button" class="quiet" onClick={save} aria-label="Quality against KL: save data as CSV">
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
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={words(named, title)} id="front-picture">
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
        <Curves fronts={fronts} x={x} y={y} />
      </svg>
    </figure>
  );
}

function Curves({ fronts, x, y }: { fronts: readonly FrontLine[]; x: Scale; y: Scale }) {
  return (
    <>
      {fronts.map(({ name, color, points, kind }) => (
        <g key={`${name} ${kind}`} class={`curve c${color} ${kind ?? ''}`}>
          <polyline points={points.map((p) => `${x(p.kl)},${y(p.quality)}`).join(' ')} />
          {kind === undefined &&
            points.map((p) => (
              <circle key={`${p.step} ${p.kl}`} cx={x(p.kl)} cy={y(p.quality)} r="4">
                <title>{`${placeOf(name, p)}: ${number(p.quality)} at KL ${number(p.kl)}`}</title>
              </circle>
            ))}
        </g>
      ))}
    </>
  );
}

const placeOf = (name: string, { step }: FrontLine['points'][number]) =>
  step === undefined ? name : `${name}, step ${step}`;

function words(fronts: readonly FrontLine[], title: string): string {
  const texts = fronts.map(({ name, points }) => {
    const best = points.reduce((a, b) => (b.quality > a.quality ? b : a), points[0]!);
    return best ? `${placeOf(`${name}: best ${number(best.quality)} at KL ${number(best.kl)}`, best)}.` : '';
  });
  return `${title} against KL to the initial model. ${texts.join(' ')}`;
}

/** The picture as it is on the page, its colours written out. */
function saveSvg() {
  const picture = document.getElementById('front-picture') as unknown as SVGSVGElement;
  const copy = picture.cloneNode(true) as SVGSVGElement;
  const originals = [...picture.querySelectorAll('*')];
  for (const [i, element] of [...copy.querySelectorAll('*')].entries()) {
    const style = getComputedStyle(originals[i]!);
    for (const name of ['fill', 'stroke', 'stroke-width', 'font-size', 'font-family']) {
      element.setAttribute(name, style.getPropertyValue(name));
    }
  }
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  download('quality-against-kl.svg', 'image/svg+xml', new XMLSerializer().serializeToString(copy));
}
