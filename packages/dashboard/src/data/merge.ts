import type { ListPatch, MetricPoints, RunList, RunPatch, RunState, SeriesPoints } from 'reanchor/serve';

/** The list with what has changed; runs that are new come last. */
export function mergeList(list: RunList, { runs, gone, notes, results, studies }: ListPatch): RunList {
  const rows = new Map(list.runs.map((run) => [run.id, run]));
  for (const id of gone) rows.delete(id);
  for (const run of runs) rows.set(run.id, run);
  return { ...list, runs: [...rows.values()], notes, results, studies };
}

/** A run's state with what has come since. */
export function merge(state: RunState, patch: RunPatch): RunState {
  const firstNew = patch.steps.steps[0] ?? Number.POSITIVE_INFINITY;
  const kept = state.updates.filter((mark) => !patch.updates.some((fresh) => fresh.step === mark.step));
  return {
    ...state,
    summary: patch.summary,
    log: patch.log ?? state.log,
    checkpoints: patch.checkpoints ?? state.checkpoints,
    steps: Number.isFinite(firstNew) ? append(state.steps, patch.steps) : state.steps,
    evaluations: patch.evaluations.steps.length > 0 ? append(state.evaluations, patch.evaluations) : state.evaluations,
    updates: [...kept, ...patch.updates],
    updateCount: patch.updateCount,
  };
}

/** Points with newer ones of the same width behind them; the last old point is replaced if it has grown. */
export function append(old: SeriesPoints, fresh: SeriesPoints): SeriesPoints {
  const bucket = (step: number) => Math.floor(step / fresh.width);
  const first = bucket(fresh.steps[0]!);
  let keep = old.steps.length;
  while (keep > 0 && bucket(old.steps[keep - 1]!) >= first) keep -= 1;
  const names = new Set([...Object.keys(old.metrics), ...Object.keys(fresh.metrics)]);
  const metrics: Record<string, MetricPoints> = {};
  for (const name of names) {
    metrics[name] = appendMetric(old.metrics[name], fresh.metrics[name], keep, fresh.steps.length);
  }
  return { width: fresh.width, steps: [...old.steps.slice(0, keep), ...fresh.steps], metrics };
}

type Values = (number | null)[];

function appendMetric(
  old: MetricPoints | undefined,
  fresh: MetricPoints | undefined,
  keep: number,
  added: number,
): MetricPoints {
  const none = (length: number): Values => new Array(length).fill(null);
  const before = (values: Values | undefined) => values?.slice(0, keep) ?? none(keep);
  const after = (values: Values | undefined) => values ?? none(added);
  const newest = fresh ?? old!;
  const joined: MetricPoints = {
    mean: [...before(old?.mean), ...after(fresh?.mean)],
    notFinite: newest.notFinite,
    first: newest.first,
    last: newest.last,
  };
  if (!old?.min && !fresh?.min) return joined;
  return {
    ...joined,
    min: [...before(old?.min ?? old?.mean), ...after(fresh?.min ?? fresh?.mean)],
    max: [...before(old?.max ?? old?.mean), ...after(fresh?.max ?? fresh?.mean)],
  };
}
