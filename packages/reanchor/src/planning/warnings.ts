import { deviceCount, halfPrecision } from '@reanchor/torch';
import { describeRemarks, type Group } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { positionsNote } from '../models/positions.js';
import { quantizationNote } from '../models/saved-config.js';
import { type Recipe, seesMicroBatches } from '../recipe/index.js';
import { plannedUpdates, type UpdateRule } from '../reference/update-rule.js';
import { documentation } from '../version.js';
import { sharedRows } from './digests.js';
import { dropoutNote } from './dropout.js';
import { recipeSaveOptions } from './dtypes.js';
import type { Plan } from './plan.js';

/** What is allowed of a plan of this many steps but probably not meant, in sentences. */
export function planWarnings(recipe: Recipe, totalSteps: number, rule: UpdateRule): string[] {
  const { schedule, evaluate } = recipe;
  const found: string[] = [];
  const canMove = rule.update !== 'fixed' && rule.update !== 'plateau';
  if (canMove && plannedUpdates(rule, totalSteps).length === 0) {
    const tau = 'tau' in rule ? `reference.tau is ${rule.tau} and ` : '';
    const alpha = 'alpha' in rule && rule.alpha === 0 ? 'reference.alpha is 0 and ' : '';
    found.push(
      `${tau}${alpha}the run has ${totalSteps} steps: the reference never moves, this is training with a fixed reference`,
    );
  } else {
    found.push(...unheldWarnings(recipe, rule));
  }
  if (schedule.warmupSteps >= Math.max(1, totalSteps)) {
    found.push(
      `schedule.warmupSteps is ${schedule.warmupSteps} and the run has ${totalSteps} steps: the learning rate never reaches optimizer.lr`,
    );
  }
  if (evaluate.every !== undefined && evaluate.every >= totalSteps) {
    found.push(
      `evaluate.every is ${evaluate.every} and the run has ${totalSteps} steps: it is evaluated before and after only`,
    );
  }
  found.push(...earlyEndWarnings(recipe, totalSteps));
  return found;
}

/** Of `stop` and `checkpoint.final`: what cannot come about in so many steps. */
function earlyEndWarnings({ stop, checkpoint, evaluate }: Recipe, totalSteps: number): string[] {
  const found: string[] = [];
  const { every = totalSteps } = evaluate;
  // The first evaluation is that before the run, which the others are compared with.
  if (stop && stop.patience * every >= totalSteps) {
    found.push(
      `stop.patience is ${stop.patience} and evaluate.every ${every}: the run of ${totalSteps} steps is over before it could end early`,
    );
  }
  if (checkpoint.final === 'best' && Number(checkpoint.every) >= totalSteps) {
    found.push(
      `checkpoint.final is best, and checkpoint.every ${checkpoint.every} in a run of ${totalSteps} steps: the last weights are the only ones`,
    );
  }
  return found;
}

/** What is allowed but probably not meant, in sentences. */
export function runWarnings(
  plan: Plan,
  policy: Pick<CausalLM, 'configJson' | 'dtype'> & Partial<Pick<CausalLM, 'quantized'>>,
): string[] {
  const { recipe, report, objective, rows, validation, totalSteps, rule } = plan;
  const found = [...report.notes, ...report.skips.flatMap(describeRemarks), ...planWarnings(recipe, totalSteps, rule)];
  const shared = sharedRows(validation, rows);
  if (shared > 0) found.push(`${shared} of the ${validation.length} rows of data.validation are trained on as well`);
  found.push(...labelWarnings(rows));
  if (plan.ranks > 1 && seesMicroBatches(recipe)) {
    found.push(
      `${recipe.loss.over === 'microBatch' ? 'loss.over: microBatch' : 'loss.partners: previous'} goes by micro-batches, which are cut for ` +
        `${plan.ranks} processes: with another number of them the numbers would be other ones`,
    );
  }
  let unprompted = 0;
  for (const { prompt } of groupsOf(plan)) if (prompt.length <= report.emptyPromptTokens) unprompted++;
  if (unprompted > 0 && objective.needsReference)
    found.push(`${unprompted} of ${rows.length} rows have an empty prompt`);
  const tooLong = positionsNote(policy, groupsOf(plan), (positions) => `set data.maxLength to ${positions} or less`);
  if (tooLong !== undefined) found.push(tooLong);
  const dropout = dropoutNote(recipe.method, policy.configJson);
  if (dropout !== undefined) found.push(dropout);
  found.push(...adapterWarnings(recipe));
  if (recipe.matmul === 'bf16' && halfPrecision() === 'none' && isOnCpu(recipe)) {
    found.push('matmul: bf16 changes nothing on this CPU, which has neither AMX nor AVX-512');
  }
  const smallest = recipe.optimizer.lr * 2 ** 9;
  if (recipe.precision === 'bf16-params' && smallest < 0.05) {
    found.push(
      `precision bf16-params and optimizer.lr ${recipe.optimizer.lr}: steps of about that size do not change weights above ${Number(smallest.toPrecision(1))}, ` +
        'since bfloat16 has 8 significant bits; precision: bf16 keeps float32 weights besides',
    );
  }
  const quantised = quantizationNote(policy.configJson, policy.quantized);
  if (quantised !== undefined) found.push(quantised);
  const stored = policy.configJson.torch_dtype ?? policy.configJson.dtype;
  const { dtype: saved } = recipeSaveOptions(recipe);
  if (!recipe.adapter && typeof stored === 'string' && stored !== saved) {
    const trained = saved === policy.dtype ? 'trained and saved' : `trained in ${policy.dtype} and saved`;
    found.push(
      `the model is stored in ${stored}; it is ${trained} in ${saved} (${recipe.save.dtype ? 'save.dtype' : 'precision'})`,
    );
  }
  return found;
}

const isOnCpu = ({ device }: Recipe) => device === 'cpu' || (device === 'auto' && deviceCount() === 0);

/**
 * A soft reference with alpha of 1/2 or more is as good as the policy itself: the margin stays near 0, every pair keeps
 * its weight, and nothing draws the policy back. Measured in docs/guide/choosing.md.
 */
function unheldWarnings({ reference }: Recipe, rule: UpdateRule): string[] {
  if (rule.update !== 'soft' || rule.alpha < 0.5 || rule.stopAfter !== undefined) return [];
  if ('maxDivergence' in reference && reference.maxDivergence !== undefined) return [];
  return [
    `reference.alpha is ${rule.alpha} and nothing stops it: the reference follows the policy at once, so only optimizer.lr ` +
      'holds the policy. Set reference.maxDivergence (0.2, say) or reference.stopAfter, or take about a third of the ' +
      `learning rate that suits DPO (${documentation('guide/choosing.md')})`,
  ];
}

/** The learning rate that TRL's documentation gives for full fine-tuning with preferences is 5e-7, and 1e-5 for SFT. */
const fullRates = { sft: 2e-5, others: 2e-6 };

function adapterWarnings({ adapter, optimizer: { lr }, method }: Recipe): string[] {
  if (!adapter) return [];
  const found: string[] = [];
  if (lr <= (method === 'sft' ? fullRates.sft : fullRates.others)) {
    found.push(
      `optimizer.lr is ${lr}, a rate for training all weights: an adapter takes about ten times that (${documentation('guide/adapters.md')})`,
    );
  }
  if ((adapter.dropout ?? 0) > 0) {
    found.push(
      'adapter.dropout is above 0: while the policy is trained it differs from a reference that is its copy, so that ' +
        'nothing checks that the two begin equal, and results depend on how rows are cut into micro-batches',
    );
  }
  return found;
}

function* groupsOf({ rows, objective }: Plan): Generator<Group> {
  for (const row of rows) yield objective.group(row);
}

/** KTO weighs what is desirable against what is not; with one of the two alone it only pushes one way. */
function labelWarnings(rows: Iterable<object>): string[] {
  const labels: unknown[] = [];
  for (const row of rows) if ('label' in row) labels.push(row.label);
  const desirable = labels.filter((label) => label === true).length;
  if (labels.length === 0 || (desirable > 0 && desirable < labels.length)) return [];
  const [is, lacks] = desirable > 0 ? ['desirable', 'undesirable'] : ['undesirable', 'desirable'];
  return [
    `all ${labels.length} rows are ${is} (label ${desirable > 0}): KTO learns from both, so add ${lacks} ones, or use sft`,
  ];
}

/** What is said once when the reference has reached its cap, after the step in which that was measured. */
export function haltMessage(step: number, divergence: number, maxDivergence: number): string {
  return (
    `in step ${step} the reference is ${divergence.toPrecision(3)} nats per token away from the initial policy, more than ` +
    `reference.maxDivergence (${maxDivergence}): it stays where it is from here on`
  );
}
