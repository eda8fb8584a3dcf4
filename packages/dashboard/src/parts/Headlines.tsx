import type { RunState } from 'reanchor/serve';
import { estimate, number, signed, whole } from '../format.js';
import { errorName, headlines, metricText } from '../metrics.js';
import { Help } from './Help.js';

/** The numbers that a run is about: the newest of its evaluations, or of its steps, and the change since the first. */
export function Headlines({ evaluations, steps }: Pick<RunState, 'evaluations' | 'steps'>) {
  const isEvaluated = evaluations.steps.length > 0;
  const { steps: at, metrics } = isEvaluated ? evaluations : steps;
  const found = headlines.filter((name) => metrics[name]);
  const names = found.length > 0 ? found : ['loss'].filter((name) => metrics[name]);
  const last = at.at(-1);
  if (last === undefined || names.length === 0) return null;
  return (
    <section class="headlines" aria-labelledby="headlines">
      <h2 id="headlines" class="hidden">
        Newest numbers
      </h2>
      <dl>
        {names.map((name) => {
          const { title, unit } = metricText(name);
          const { first, last: value } = metrics[name]!;
          return (
            <div key={name}>
              <dt>
                {title} <Help title={`the newest ${title}`} metrics={[name]} />
              </dt>
              <dd>
                <b>{value === null ? 'not finite' : estimate(value, metrics[errorName(name)]?.last)}</b>
                {unit && <span class="unit"> {unit}</span>}
              </dd>
              {first && value !== null && first.step < last && (
                <dd class="change">
                  {signed(value - first.value)} from {number(first.value)}
                </dd>
              )}
            </div>
          );
        })}
      </dl>
      <p class="sub">{words(isEvaluated, metrics[names[0]!]!.first?.step, last)}</p>
    </section>
  );
}

function words(isEvaluated: boolean, first: number | undefined, last: number): string {
  if (!isEvaluated) return `Of training step ${whole(last)}; this run has no evaluation so far.`;
  if (first === undefined || first === last) return `Of the evaluation ${placeOf(last)}.`;
  return `Of the evaluation ${placeOf(last)}; changes are since that ${placeOf(first)}.`;
}

const placeOf = (step: number) => (step === 0 ? 'before training' : `after step ${whole(step)}`);
