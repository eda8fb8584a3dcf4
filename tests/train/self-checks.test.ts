// Each self-check stops a run whose part is broken on purpose.
import { noGrad, type Tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import type { MicroBatch } from '#reanchor/data/index.js';
import type { SpanBatch } from '#reanchor/nn/spans.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import type { ReferenceUpdate } from '#reanchor/reference/reference-policy.js';
import { pairObjective } from '#reanchor/train/objectives/pairs.js';
import { SelfCheckError } from '#reanchor/train/self-checks.js';
import type { Weights } from '#reanchor/weights/weights.js';
import { pairMethodOf, tinyTrainer } from '../support/training.js';

const hard = { update: 'hard', tau: 2 } as const;

async function failure(steps: number, changes: Parameters<typeof tinyTrainer>[1]): Promise<SelfCheckError> {
  try {
    using training = await tinyTrainer(hard, changes);
    for (let i = 0; i < steps; i++) training.step(i);
  } catch (error) {
    expect(error).toBeInstanceOf(SelfCheckError);
    return error as SelfCheckError;
  }
  throw new Error(`no self-check failed in ${steps} steps`);
}

test('a reference that is not the policy at the start', async () => {
  class Shifted extends CopiedReference {
    override logprobs(microBatch: MicroBatch, batch: () => SpanBatch): Tensor {
      return tidy(() => super.logprobs(microBatch, batch).add(0.01));
    }
  }
  const error = await failure(1, { reference: (policy) => new Shifted(policy, hard) });
  expect(error.message).toMatch(/step 1: expected equal log-probabilities of policy and reference/);
});

test.each([1, 0.6, 1e-4])('an update with share %s that is reported and does not happen', async (share) => {
  class Stuck extends CopiedReference {
    override afterStep(step: number): ReferenceUpdate | undefined {
      const distance = this.distance();
      return { step, version: 1, share, distances: { before: distance, after: distance, norm: 1 } };
    }
  }
  const error = await failure(1, { reference: (policy) => new Stuck(policy, hard) });
  expect(error.message).toContain(
    `step 1: expected a reference update with share ${share} to leave a policy-reference distance of`,
  );
});

test('a reference that shares a parameter with the policy', async () => {
  class Alias extends CopiedReference {
    constructor(policy: Weights) {
      super(policy, hard);
      const [[name, parameter]] = policy.model.parameters as unknown as [[string, Tensor]];
      (this.model.parameters as Map<string, Tensor>).set(name, parameter);
    }
  }
  const error = await failure(1, { reference: (policy) => new Alias(policy) });
  expect(error.message).toMatch(/step 0: expected a policy and a reference with parameters of their own/);
});

test('a reference that moves between updates', async () => {
  class Drifting extends CopiedReference {
    override afterStep(step: number): ReferenceUpdate | undefined {
      // One element of one parameter, by the smallest step.
      if (step === 1)
        noGrad(() =>
          this.model.parameters
            .get('model.norm.weight')!
            .narrow(0, 0, 1)
            .mul_(1 + 2 ** -23),
        );
      return super.afterStep(step);
    }
  }
  const error = await failure(1, { reference: (policy) => new Drifting(policy, hard) });
  expect(error.message).toMatch(/step 1: expected a reference that stays where it is between updates/);
});

test('a loss that is not ln 2 where policy and reference are equal', async () => {
  const dpo = pairMethodOf('sigmoid');
  const objective = pairObjective({ ...dpo, loss: (...args) => tidy(() => dpo.loss(...args).mul(2)) });
  const error = await failure(1, { objective });
  expect(error.message).toMatch(/step 1: expected a loss of 0\.693147/);
});
