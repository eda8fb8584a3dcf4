import { join } from 'node:path';
import { type DType, tidy } from '@reanchor/torch';
import { loadPreferenceRows, pairMicroBatch, type TokenizedPair, tokenizePairs } from '#reanchor/data/index.js';
import { type PairLossOptions, pairMethod } from '#reanchor/losses/methods.js';
import type { CausalLM } from '#reanchor/models/causal-lm.js';
import { loadModel } from '#reanchor/models/load.js';
import { AdamW, type AdamWOptions, learningRates } from '#reanchor/optim/index.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { ReferencePolicy } from '#reanchor/reference/reference-policy.js';
import type { UpdateRule } from '#reanchor/reference/update-rule.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import type { LoggedRow } from '#reanchor/train/objectives/objective.js';
import { type PairScores, pairObjective } from '#reanchor/train/objectives/pairs.js';
import { Trainer } from '#reanchor/train/trainer.js';
import type { StepRules, TrainerOptions } from '#reanchor/train/trainer-options.js';
import { type ModelWeights, Weights } from '#reanchor/weights/weights.js';
import { fixtures } from './repository.js';

export const tinyModel = join(fixtures, 'models/llama-tiny');
export const tinyPairs = join(fixtures, 'text/pairs.jsonl');

/** The fixtures' pairs, at most 96 tokens long. */
export async function loadTinyPairs(): Promise<TokenizedPair[]> {
  const rows = await loadPreferenceRows([tinyPairs]);
  return tokenizePairs(rows, await loadTokenizer(tinyModel), { maxLength: 96 }).pairs;
}

/** A pair method of one loss, beta 0.1 and TRL's other defaults, with options exchanged by `changes`. */
export function pairMethodOf(name: PairLossOptions['types'][number]['name'], changes: Partial<PairLossOptions> = {}) {
  return pairMethod({
    types: [{ name, weight: 1 }],
    beta: 0.1,
    labelSmoothing: 0,
    lengthNormalize: true,
    discopopTau: 0.05,
    clipReferenceMargin: false,
    nllWeight: 0,
    ...changes,
  });
}

/** What a test may want otherwise of {@link plainTrainer}. */
export interface PlainOptions<Row, Score extends LoggedRow>
  extends Pick<TrainerOptions<Row, Score>, 'reference' | 'initial'>,
    Partial<Omit<StepRules<Row, Score>, 'objective'>> {
  adam?: Partial<AdamWOptions & { lr: number }>;
}

/** A trainer at a constant rate of 1e-3, gradients clipped to 1, without weight decay. */
export function plainTrainer<Row, Score extends LoggedRow>(
  weights: ModelWeights,
  objective: StepRules<Row, Score>['objective'],
  { reference, initial, adam, ...rules }: PlainOptions<Row, Score> = {},
): Trainer<Row, Score> {
  const { lr, ...options } = { lr: 1e-3, betas: [0.9, 0.95] as const, eps: 1e-8, weightDecay: 0, ...adam };
  return new Trainer({
    plan: { objective, maxGradNorm: 1, ...rules },
    weights,
    reference,
    initial,
    optimizer: new AdamW(weights.trained.values(), options),
    schedule: learningRates({ type: 'constant', warmupSteps: 0 }, lr, 100),
  });
}

/** A trainer of the tiny model, 8 pairs a step, with parts exchanged by `changes`. */
export async function tinyTrainer(
  rule: UpdateRule,
  changes: {
    dtype?: DType;
    reference?: (policy: Weights) => ReferencePolicy;
    objective?: StepRules<TokenizedPair, PairScores>['objective'];
  } = {},
) {
  const policy = await loadModel(tinyModel, { dtype: changes.dtype ?? 'float32' });
  const trained = new Weights(policy);
  const reference = changes.reference?.(trained) ?? new CopiedReference(trained, rule);
  const objective = changes.objective ?? pairObjective(pairMethodOf('sigmoid'));
  const trainer = plainTrainer(trained, objective, { reference });
  const pairs = await loadTinyPairs();
  const step = (number: number) =>
    trainer.step([
      pairMicroBatch(
        Array.from({ length: 8 }, (_, i) => (8 * number + i) % pairs.length),
        pairs,
      ),
    ]);
  const dispose = () => {
    for (const each of [trainer, reference, trained]) each[Symbol.dispose]();
  };
  return { policy, trained, reference, objective, trainer, pairs, step, [Symbol.dispose]: dispose };
}

/** All parameters in one list. */
export function weights(model: CausalLM): number[] {
  return tidy(() => [...model.parameters.values()].flatMap((parameter) => parameter.toList()));
}
