/** Runs as a table for other programs. */
import { csvText } from '../../formats/index.js';
import { armNames } from './arms.js';
import type { MeasuredRun } from './measured-run.js';

/**
 * CSV with a row for each measurement: `arm` (of a study, or the method), `setting` (its name with all that differs),
 * beta and each key that differs between runs, `seed`, `step`, and all metrics. What a row lacks is empty; numbers are
 * written in full.
 */
export function frontCsv(runs: readonly MeasuredRun[]): string {
  const names = armNames(runs);
  const paths = [...new Set(runs.flatMap(({ keys }) => [...(keys?.keys() ?? [])]))].filter(
    (path) => new Set(runs.map(({ keys }) => keys?.get(path))).size > 1,
  );
  const metrics = [
    ...new Set(runs.flatMap((run) => run.evaluations.flatMap((evaluation) => Object.keys(evaluation.metrics)))),
  ];
  const cell = (value: string | number | undefined) => (value === undefined ? '' : String(value));
  const rows = runs.flatMap(({ method, beta, keys, seed, evaluations }, i) =>
    evaluations.map(({ step, metrics: found }) =>
      [
        ...[method, names[i]!.arm, beta, ...paths.map((path) => keys?.get(path)), seed, step],
        ...metrics.map((name) => found[name]),
      ].map(cell),
    ),
  );
  return csvText([['arm', 'setting', 'beta', ...paths, 'seed', 'step', ...metrics], ...rows]);
}
