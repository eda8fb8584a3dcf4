import { getNumThreads } from '@reanchor/torch';
import type { Plan } from '../planning/plan.js';
import { runWarnings } from '../planning/warnings.js';
import { plannedUpdates } from '../reference/update-rule.js';
import type { NewRunEvent } from '../runs/index.js';
import { AdapterWeights } from '../weights/adapter-weights.js';
import type { ModelWeights } from '../weights/weights.js';
import type { RunOptions } from './open-run.js';
import type { ResumePoint } from './resume.js';

type Emit = (event: NewRunEvent) => void;

/** Tells that a run begins, or from which checkpoint it is resumed. */
export function announce({ recipe, plan, weights, from, beginsAgain }: RunOptions, emit: Emit): void {
  const { totalSteps: steps } = plan;
  if (from !== undefined) announceResumed(from, steps, emit);
  else announceStart(plan, weights, emit);
  if (beginsAgain) emit({ type: 'resumed', step: 0, steps });
  const threads = getNumThreads();
  if (recipe.threads !== undefined && recipe.threads !== threads) {
    const message = `threads is ${recipe.threads}, and operators use ${threads}: call configureProcess(recipe) before train()`;
    emit({ type: 'warning', message });
  }
}

/** Tells what is known before the first step: sizes, updates of the reference, rows left out, warnings. */
function announceStart(plan: Plan, weights: ModelWeights, emit: Emit): void {
  const { model: policy, trained } = weights;
  const { rows, validation, report, objective, rule, totalSteps: steps } = plan;
  const parameters = [...policy.parameters.values(), ...policy.quantized.values()].reduce(
    (n, { numel }) => n + numel,
    0,
  );
  const isPlanned = objective.needsReference && rule.update !== 'plateau';
  const referenceUpdates = isPlanned ? plannedUpdates(rule, steps).length : undefined;
  emit({
    type: 'start',
    steps,
    rows: rows.length,
    validationRows: validation.length,
    parameters,
    ...(plan.recipe.adapter && { trained: [...trained.values()].reduce((n, { numel }) => n + numel, 0) }),
    referenceUpdates,
  });
  for (const { byReason } of report.skips) {
    for (const [reason, places] of byReason) for (const place of places) emit({ type: 'skipped', reason, ...place });
  }
  const notes = weights instanceof AdapterWeights ? weights.notes : [];
  for (const message of [...runWarnings(plan, policy), ...notes]) emit({ type: 'warning', message });
}

function announceResumed({ checkpoint, changes, warnings }: ResumePoint, steps: number, emit: Emit): void {
  const { step, path } = checkpoint;
  // The one that stood there was written after the moment that the checkpoint remembers.
  emit({ type: 'checkpoint', step, folder: path });
  emit({ type: 'resumed', step, steps, ...(changes.length > 0 && { changes }) });
  for (const message of warnings) emit({ type: 'warning', message });
}
