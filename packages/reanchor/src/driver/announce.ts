import type { CausalLM } from '../models/causal-lm.js';
import type { Plan } from '../planning/plan.js';
import { runWarnings } from '../planning/warnings.js';
import { plannedUpdates } from '../reference/update-rule.js';
import type { NewRunEvent } from '../runs/index.js';

/** Tells what is known before the first step: sizes, updates of the reference, rows left out, warnings. */
export function announce(plan: Plan, policy: CausalLM, emit: (event: NewRunEvent) => void): void {
  const { rows, validation, report, objective, rule, totalSteps: steps } = plan;
  const parameters = [...policy.parameters.values()].reduce((n, parameter) => n + parameter.numel, 0);
  const isPlanned = objective.needsReference && rule.update !== 'plateau';
  const referenceUpdates = isPlanned ? plannedUpdates(rule, steps).length : undefined;
  emit({
    type: 'start',
    steps,
    rows: rows.length,
    validationRows: validation.length,
    parameters,
    referenceUpdates,
  });
  for (const { byReason } of report.skips) {
    for (const [reason, places] of byReason) for (const place of places) emit({ type: 'skipped', reason, ...place });
  }
  for (const message of runWarnings(plan, policy)) emit({ type: 'warning', message });
}
