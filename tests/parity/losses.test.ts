// The losses and their gradients against tables that TRL 1.13 made: committed ones, and larger ones where there are some.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensor, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import type { Divergence } from '../../packages/reanchor/src/losses/f-divergence.js';
import { klEstimate, kto } from '../../packages/reanchor/src/losses/kto.js';
import { type PairLossName, pairMethod } from '../../packages/reanchor/src/losses/methods.js';
import { dataFolder, fixtures } from '../support/repository.js';

interface PairLine {
  id: string;
  loss_type: PairLossName | PairLossName[];
  loss_weights?: number[];
  beta: number;
  label_smoothing?: number;
  discopop_tau?: number;
  f_divergence_type?: Divergence['type'];
  f_alpha_divergence_coef?: number;
  computed_in: 'float64' | 'float32';
  loss: number;
  rewards_chosen: number;
  rewards_rejected: number;
}
type Numbers = Record<string, number[]>;
interface KtoLine {
  id: string;
  loss_type: string;
  beta: number;
  desirable_weight: number;
  undesirable_weight: number;
  labels: boolean[];
  loss: number;
  kl: number;
}

const exoTolerance = 1e-7;
const f64 = (values: readonly number[]) => tensor(Float64Array.from(values));
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Equal to a share of the largest value, or of 1 where TRL rounds an epsilon to float32. */
function expectClose(ours: number[], theirs: number[], tolerance: number, what: string): void {
  const scale = Math.max(...theirs.map(Math.abs), tolerance === exoTolerance ? 1 : 1e-3);
  for (const [i, value] of theirs.entries()) {
    expect(Math.abs(ours[i]! - value), `${what}[${i}]: ${ours[i]} for ${value}`).toBeLessThanOrEqual(tolerance * scale);
  }
}

function checkPairs(line: PairLine & Numbers): void {
  const names = [line.loss_type].flat() as PairLossName[];
  // TRL ignores the smoothing of its sigmoid loss.
  const labelSmoothing = names.includes('sigmoid') ? 0 : (line.label_smoothing ?? 0);
  const isSmoothed = names.some((name) => ['exo_pair', 'robust', 'aot', 'aot_unpaired'].includes(name));
  const method = pairMethod({
    types: names.map((name, i) => ({ name, weight: line.loss_weights?.[i] ?? 1 })),
    beta: line.beta,
    labelSmoothing: isSmoothed ? labelSmoothing : 0,
    lengthNormalize: true,
    discopopTau: line.discopop_tau ?? 0.05,
    clipReferenceMargin: false,
    nllWeight: 0,
    divergence: divergenceOf(line),
  });
  const tolerance = line.computed_in === 'float32' ? 3e-5 : names.includes('exo_pair') ? exoTolerance : 1e-9;
  tidy(() => {
    const as = (values: readonly number[]) => tensor(Float64Array.from(values), { dtype: line.computed_in });
    const [chosen_P, rejected_P] = [as(line.chosen_logps!), as(line.rejected_logps!)];
    chosen_P.requiresGrad = true;
    rejected_P.requiresGrad = true;
    const batch = {
      policy: { chosen_P, rejected_P },
      reference: { chosen_P: as(line.ref_chosen_logps!), rejected_P: as(line.ref_rejected_logps!) },
      tokens: { chosen_P: f64(line.chosen_lengths!), rejected_P: f64(line.rejected_lengths!) },
    };
    const loss = method.loss(batch, { meanChosenTokens: mean(line.chosen_lengths!) }).mean();
    loss.backward();
    expectClose([loss.item()], [line.loss], tolerance, `${line.id} loss`);
    expectClose((chosen_P.grad as Tensor).toList(), line.grad_chosen!, tolerance, `${line.id} grad_chosen`);
    expectClose(
      rejected_P.grad?.toList() ?? line.grad_rejected!.map(() => 0),
      line.grad_rejected!,
      tolerance,
      `${line.id} grad_rejected`,
    );
    const rewards = method.rewards(batch);
    expectClose([rewards.chosen_P.mean().item()], [line.rewards_chosen], tolerance, `${line.id} rewards`);
    expectClose([rewards.rejected_P.mean().item()], [line.rewards_rejected], tolerance, `${line.id} rewards`);
  });
}

function divergenceOf({ f_divergence_type: type, f_alpha_divergence_coef: coefficient }: PairLine): Divergence {
  if (type === 'alpha_divergence') return { type, coefficient: coefficient! };
  return { type: type ?? 'reverse_kl' };
}

function checkKto(line: KtoLine & Numbers): void {
  tidy(() => {
    const policy_R = f64(line.logps!);
    policy_R.requiresGrad = true;
    const { kl } = klEstimate(f64(line.kl_logps!), f64(line.ref_kl_logps!));
    const isDesirable_R = f64(line.labels.map(Number));
    const { beta, desirable_weight: desirableWeight, undesirable_weight: undesirableWeight } = line;
    const options = { beta, desirableWeight, undesirableWeight };
    const loss = kto({ policy_R, reference_R: f64(line.ref_logps!), isDesirable_R }, kl, options).mean();
    loss.backward();
    expectClose([kl], [line.kl], 1e-9, `${line.id} kl`);
    expectClose([loss.item()], [line.loss], 1e-9, `${line.id} loss`);
    expectClose((policy_R.grad as Tensor).toList(), line.grad!, 1e-9, `${line.id} grad`);
  });
}

const lines = <T>(file: string): T[] =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

describe.each([
  ['committed', join(fixtures, 'losses')],
  ['of the real data', join(dataFolder ?? 'no-data', 'parity/losses')],
])('tables %s', (_, folder) => {
  const isHere = existsSync(folder);
  test.skipIf(!isHere)('pair losses: values, gradients by both log-probabilities, and rewards', () => {
    const all = lines<PairLine & Numbers>(join(folder, 'dpo.jsonl'));
    for (const line of all) checkPairs(line);
    expect(new Set(all.flatMap(({ loss_type }) => loss_type)).size).toBeGreaterThanOrEqual(14);
  });

  test.skipIf(!isHere)('KTO: its KL term, values and gradients', () => {
    const all = lines<KtoLine & Numbers>(join(folder, 'kto.jsonl')).filter(({ loss_type }) => loss_type === 'kto');
    for (const line of all) checkKto(line);
    expect(all.length).toBeGreaterThan(5);
  });
});
