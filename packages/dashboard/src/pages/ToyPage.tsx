import type { ToyResult } from 'reanchor/serve';
import { Chart } from '../charts/Chart.js';
import { useResult } from '../data/stream.js';
import { estimate, number } from '../format.js';
import { Title } from '../parts/Header.js';
import { Results } from '../parts/Results.js';
import { Empty, Scroll } from '../parts/small.js';

const charts: {
  key: keyof Omit<ToyResult['curves'][number], 'variant' | 'steps'>;
  title: string;
  unit: string;
  note: string;
}[] = [
  {
    key: 'chosen',
    title: 'Chosen trajectories',
    unit: 'probability',
    note: 'Should rise; vanilla methods let it dip and do not bring it back.',
  },
  { key: 'rejected', title: 'Rejected trajectories', unit: 'probability', note: 'Should fall.' },
  {
    key: 'ood',
    title: 'Trajectories never seen',
    unit: 'probability',
    note: 'Where probability goes when both sides fall: over-optimisation.',
  },
  {
    key: 'chosenLogprob',
    title: 'Log-probability of a chosen trajectory',
    unit: 'nats',
    note: 'The mean over the chosen trajectories.',
  },
  { key: 'klSft', title: 'KL to the SFT policy', unit: 'nats', note: 'Exact; the distance from where training began.' },
  { key: 'margin', title: 'Margin to the current reference', unit: 'nats', note: 'A moving reference keeps it small.' },
  {
    key: 'weight',
    title: 'Weight of a pair in the gradient',
    unit: 'σ(−z)',
    note: 'At 1/2 for equal policy and reference, towards 0 as the margin grows.',
  },
  {
    key: 'curvature',
    title: "Weight of the Hessian's outer product",
    unit: 'σ(z) σ(−z)',
    note: 'At most 1/4; it vanishes for a fixed reference as the margin grows.',
  },
];

const columns = ['Chosen at the end', 'Rejected', 'Never seen', 'Worst chosen', 'Most never seen', 'KL to SFT'];

export function ToyPage({ id }: { id: string | undefined }) {
  const { result, problem } = useResult(id);
  return (
    <>
      <Title>Toy experiment</Title>
      <Results page="toy" kind="toy" id={id}>
        No result of the toy experiment is in this folder. <code>npx reanchor toy --json runs/toy.json</code> makes one
        in seconds.
      </Results>
      {problem && <p class="banner warn">{problem}</p>}
      {id !== undefined && !result && !problem && <Empty>Reading the result…</Empty>}
      {result?.kind === 'toy' && <Toy result={result.result} />}
    </>
  );
}

function Toy({ result: { method, beta, seeds, steps, summaries, curves } }: { result: ToyResult }) {
  return (
    <>
      <p class="sub">
        {method.toUpperCase()}, β {beta}, {steps.toLocaleString('en-US')} steps; means over {seeds} seeds, the shade
        from the first to the third quartile.
      </p>
      <Scroll label="Probabilities at the end">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Reference</th>
              {columns.map((title) => (
                <th scope="col" class="number" key={title}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {summaries.map((row, i) => (
              <tr key={row.variant}>
                <th scope="row">
                  <i class={`swatch c${i % 8}`} /> {row.variant}
                </th>
                <td class="number">{estimate(row.chosen, row.chosenError)}</td>
                {[row.rejected, row.ood, row.worstChosen, row.peakOod, row.klSft].map((value, column) => (
                  <td key={column} class="number">
                    {number(value)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <div class="charts">
        {charts.map(({ key, title, unit, note }) => (
          <div key={key} class="noted">
            <Chart
              title={title}
              unit={unit}
              xLabel="step"
              fileName={`toy-${method}`}
              lines={curves.map((curve, i) => ({
                name: curve.variant,
                color: i % 8,
                steps: curve.steps,
                mean: curve[key].mean,
                min: curve[key].low,
                max: curve[key].high,
              }))}
            />
            <p class="sub">{note}</p>
          </div>
        ))}
      </div>
    </>
  );
}
