import { useState } from 'preact/hooks';
import type { RunLog } from 'reanchor/serve';
import { whole } from '../format.js';
import { Scroll } from './small.js';

/** What a run wrote; without a name where it is the only one. */
export interface Written {
  name?: string;
  color?: number;
  samples: RunLog['samples'];
}

/** What policies wrote on the same prompts, beside each other: at some steps of training, and of several runs. */
export function Samples({ runs }: { runs: readonly Written[] }) {
  const [ticks, setTicks] = useState<readonly number[]>();
  const steps = [...new Set(runs.flatMap(({ samples }) => samples.map(({ step }) => step)))].sort((a, b) => a - b);
  const shown = steps.filter((step) => (ticks ?? atFirst(steps, runs.length)).includes(step));
  const columns = runs.flatMap(({ name, color, samples }) =>
    shown.flatMap((step) => {
      // Runs are evaluated at steps of their own: the newest texts of that moment are meant.
      const at = samples.findLast((one) => one.step <= step);
      return at ? [{ name, color, step: at.step, texts: byPrompt(at.samples) }] : [];
    }),
  );
  const counts = new Map<string, number>();
  for (const { texts } of columns) for (const key of texts.keys()) counts.set(key, (counts.get(key) ?? 0) + 1);
  const isShared = runs.length > 1 && columns.length > 1;
  const keys = [...counts.keys()].filter((key) => !isShared || counts.get(key)! > 1);
  if (steps.length === 0 || (isShared && keys.length === 0)) return null;
  const answering = columns.filter(({ texts }) => keys.some((key) => texts.has(key)));
  const others = runs.filter(({ name }) => !answering.some((column) => column.name === name));
  const toggle = (step: number) =>
    setTicks(shown.includes(step) ? shown.filter((one) => one !== step) : [...shown, step]);
  return (
    <section class="group" aria-labelledby="samples">
      <h2 id="samples">Samples</h2>
      <p class="sub">
        What {runs.length > 1 ? 'each run' : 'the policy'} wrote on the same prompts.
        {others.length > 0 && ` On other prompts, or nothing: ${others.map(({ name }) => name).join('; ')}.`}
      </p>
      <Steps steps={steps} shown={shown} onToggle={toggle} />
      <div class="samples">
        {keys.map((key) => (
          <article key={key}>
            <p class="prompt">
              {columns
                .find(({ texts }) => texts.has(key))!
                .texts.get(key)!
                .prompt.trim()}
            </p>
            <Scroll label="Answers side by side">
              <div class="sides" style={{ '--sides': answering.length }}>
                {answering.map(({ name, color, step, texts }, i) => (
                  <div key={`${i} ${step}`}>
                    <h3>
                      {name !== undefined && (
                        <>
                          <i class={`swatch c${color}`} /> {name},{' '}
                        </>
                      )}
                      {step === 0 ? 'before training' : `step ${whole(step)}`}
                    </h3>
                    <p class="text">{texts.get(key)?.completion ?? '–'}</p>
                  </div>
                ))}
              </div>
            </Scroll>
          </article>
        ))}
      </div>
    </section>
  );
}

/** Of a run its beginning, its middle and its end; of several what they came to. */
function atFirst(steps: readonly number[], runs: number): number[] {
  const last = steps.length - 1;
  return (runs > 1 ? [last] : [0, Math.ceil(last / 2), last]).map((i) => steps[i]!);
}

/** Texts by their prompts; one that was answered more than once has its first, second, ... answer. */
function byPrompt(samples: Written['samples'][number]['samples']) {
  const times = new Map<string, number>();
  return new Map(
    samples.map((sample) => {
      const before = times.get(sample.prompt) ?? 0;
      times.set(sample.prompt, before + 1);
      return [`${before} ${sample.prompt}`, sample];
    }),
  );
}

interface StepsProps {
  steps: readonly number[];
  shown: readonly number[];
  onToggle: (step: number) => void;
}

function Steps({ steps, shown, onToggle }: StepsProps) {
  if (steps.length < 2) return null;
  return (
    <fieldset class="ticks">
      <legend>At steps</legend>
      {steps.map((step) => (
        <label key={step}>
          <input
            type="checkbox"
            checked={shown.includes(step)}
            disabled={shown.length === 1 && shown[0] === step}
            onChange={() => onToggle(step)}
          />{' '}
          {whole(step)}
        </label>
      ))}
    </fieldset>
  );
}
