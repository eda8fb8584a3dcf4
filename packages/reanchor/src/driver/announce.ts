import type { RowPlace } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { type Planned, runWarnings } from '../planning/warnings.js';
import { plannedUpdates, type UpdateRule } from '../reference/update-rule.js';
import type { NewRunEvent } from '../runs/index.js';

/** Tells what is known before the first step: sizes, updates of the reference, rows left out, warnings. */
export function announce<Row extends RowPlace>(
  planned: Planned<Row> & { policy: CausalLM },
  steps: number,
  rule: UpdateRule,
  emit: (event: NewRunEvent) => void,
): void {
  const { policy, rows, validation, report, objective } = planned;
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
  for (const message of runWarnings(planned, steps, rule)) emit({ type: 'warning', message });
}
