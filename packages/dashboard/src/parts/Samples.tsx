import { useState } from 'preact/hooks';
import type { RunLog } from 'reanchor/serve';

/** What the policy wrote on the same prompts, over training. */
export function Samples({ samples }: { samples: RunLog['samples'] }) {
  const [chosen, choose] = useState<number>();
  const at = Math.min(chosen ?? samples.length - 1, samples.length - 1);
  const [first, shown] = [samples[0]!, samples[at]!];
  return (
    <section class="group" aria-labelledby="samples">
      <h2 id="samples">Samples</h2>
      <p class="slider">
        <label>
          Step{' '}
          <input
            type="range"
            min={0}
            max={samples.length - 1}
            value={at}
            aria-valuetext={`step ${shown.step}`}
            onInput={(event) => choose(event.currentTarget.valueAsNumber)}
          />
        </label>{' '}
        <output>{shown.step}</output>
      </p>
      <div class="samples">
        {shown.samples.map(({ prompt, completion }, i) => (
          <article key={`${i} ${prompt}`}>
            <p class="prompt">{prompt.trim()}</p>
            <div class="sides">
              {shown !== first && (
                <div>
                  <h3>Step {first.step}</h3>
                  <p class="text">{first.samples[i]?.completion ?? ''}</p>
                </div>
              )}
              <div>
                <h3>Step {shown.step}</h3>
                <p class="text">{completion}</p>
              </div>
            </div>
          </article>
        ))}
      </div>
    </section>
  );
}

interface Written {
  name: string;
  color: number;
  samples: RunLog['samples'];
}

/** What runs wrote on the same prompts at their newest evaluations, beside each other. */
export function SamplesOfRuns({ runs }: { runs: readonly Written[] }) {
  const newest = runs.flatMap(({ name, color, samples }) => {
    const last = samples.at(-1);
    return last ? [{ name, color, ...last }] : [];
  });
  // The same prompt may have been answered more than once: its n-th answers belong together.
  const keysOf = (samples: Written['samples'][number]['samples']) =>
    samples.map(
      ({ prompt }, i) => `${samples.slice(0, i).filter((other) => other.prompt === prompt).length} ${prompt}`,
    );
  const columns = newest.map((run) => {
    const keys = keysOf(run.samples);
    return { ...run, texts: new Map(run.samples.map((sample, i) => [keys[i]!, sample])) };
  });
  const shared = [...new Set(columns.flatMap(({ texts }) => [...texts.keys()]))].filter(
    (key) => columns.filter(({ texts }) => texts.has(key)).length > 1,
  );
  if (shared.length === 0) return null;
  return (
    <section class="group" aria-labelledby="samples">
      <h2 id="samples">Samples</h2>
      <p class="sub">What each run wrote on the same prompts at its newest evaluation.</p>
      <div class="samples">
        {shared.map((key) => (
          <article key={key}>
            <p class="prompt">
              {columns
                .find(({ texts }) => texts.has(key))!
                .texts.get(key)!
                .prompt.trim()}
            </p>
            <div class="sides">
              {columns.map(({ name, color, step, texts }) => (
                <div key={name}>
                  <h3>
                    <i class={`swatch c${color}`} /> {name}, step {step}
                  </h3>
                  <p class="text">{texts.get(key)?.completion ?? '–'}</p>
                </div>
              ))}
            </div>
          </article>
        ))}
      </div>
    </section>
  );
}
