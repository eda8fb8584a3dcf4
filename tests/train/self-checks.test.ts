// Each self-check stops a run whose part is broken on purpose.
import { foreachAdd_, noGrad, type Tensor, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { pairMethods } from '../../packages/reanchor/src/losses/methods.js';
import type { SpanBatch } from '../../packages/reanchor/src/nn/spans.js';
import { CopiedReference, type ReferenceUpdate } from '../../packages/reanchor/src/reference/copied-reference.js';
import { SelfCheckError } from '../../packages/reanchor/src/train/self-checks.js';
import { tinyTrainer } from '../support/training.js';

const hard = { update: 'hard', tau: 2 } as const;

async function failure(steps: number, changes: Parameters<typeof tinyTrainer>[1]): Promise<SelfCheckError> {
  using training = await tinyTrainer(hard, changes);
  try {
    for (let i = 0; i < steps; i++) training.step(i);
  } catch (error) {
    expect(error).toBeInstanceOf(SelfCheckError);
    return error as SelfCheckError;
  }
  throw new Error(`no self-check failed in ${steps} steps`);
}

test('a reference that is not the policy at the start', async () => {
  class Shifted extends CopiedReference {
    override logprobs(batch: SpanBatch): Tensor {
      return tidy(() => super.logprobs(batch).add(0.01));
    }
  }
  const error = await failure(1, { reference: (policy) => new Shifted(policy, hard) });
  expect(error.message).toMatch(/step 1: expected equal log-probabilities of policy and reference/);
});

test('a hard update that is reported and does not happen', async () => {
  class Stuck extends CopiedReference {
    override afterStep(step: number): ReferenceUpdate | undefined {
      const distance = this.distance();
      if (step % 2 !== 0) return undefined;
      return { step, version: 1, share: 1, distanceBefore: distance, distanceAfter: distance };
    }
  }
  const error = await failure(2, { reference: (policy) => new Stuck(policy, hard) });
  expect(error.message).toMatch(
    /step 2: expected a reference update with share 1 to leave a policy-reference distance of 0/,
  );
});

test('a reference that shares its parameters with the policy', async () => {
  class Alias extends CopiedReference {
    override distance(): number {
      return 0;
    }
  }
  const error = await failure(1, { reference: (policy) => new Alias(policy, hard) });
  expect(error.message).toMatch(/step 1: expected a policy that moves away from its reference/);
});

test('a reference that moves between updates', async () => {
  class Drifting extends CopiedReference {
    override afterStep(step: number): ReferenceUpdate | undefined {
      if (step === 1) noGrad(() => foreachAdd_([...this.model.parameters.values()], 1e-3));
      return super.afterStep(step);
    }
  }
  const error = await failure(1, { reference: (policy) => new Drifting(policy, hard) });
  expect(error.message).toMatch(/step 1: expected a reference that stays where it is between updates/);
});

test('a loss that is not ln 2 where policy and reference are equal', async () => {
  const dpo = pairMethods.dpo({ beta: 0.1, labelSmoothing: 0 });
  const method = {
    ...dpo,
    loss: (...args: Parameters<typeof dpo.loss>) => {
      const { loss_P, ...rest } = dpo.loss(...args);
      return { ...rest, loss_P: loss_P.mul(2) };
    },
  };
  const error = await failure(1, { options: { method } });
  expect(error.message).toMatch(/step 1: expected a loss of 0\.693147/);
});
