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
            <p class="prompt">{prompt}</p>
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
