// What is trained of a model: all of it, a part of it, or wider weights beside it.
import { memory, tidy } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { pairMicroBatch } from '#reanchor/data/index.js';
import { copyModel } from '#reanchor/models/architectures.js';
import { loadModel } from '#reanchor/models/load.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import { pairObjective } from '#reanchor/train/objectives/pairs.js';
import { Weights } from '#reanchor/weights/weights.js';
import { loadTinyPairs, pairMethodOf, plainTrainer, tinyModel } from '../support/training.js';

const pairs = await loadTinyPairs();
const isAttention = (name: string) => name.includes('self_attn');
const objective = () => pairObjective(pairMethodOf('sigmoid'));

test.each([
  ['float32', undefined],
  ['bfloat16', 'float32'],
] as const)(
  'in %s a part is trained, the rest stays to the bit and is shared by the reference',
  async (dtype, wide) => {
    const before = memory().liveTensors;
    {
      const exact = await loadModel(tinyModel, { dtype: wide ?? dtype });
      const model = wide ? copyModel(exact, dtype) : exact;
      using start = copyModel(model);
      using weights = new Weights(model, { ...(wide && { wide: exact }), trainable: isAttention });
      expect([...weights.trained.keys()].every(isAttention)).toBe(true);
      using reference = new CopiedReference(weights, { update: 'soft', alpha: 0.5 }, { dtype: wide ?? dtype });
      using trainer = plainTrainer(weights, objective(), { reference });
      for (let i = 0; i < 2; i++) trainer.step([pairMicroBatch([0, 1, 2, 3], pairs)]);
      for (const [name, parameter] of model.parameters) {
        const moved = tidy(() => !parameter.detach().equal(start.parameters.get(name)!));
        expect(moved, name).toBe(isAttention(name));
        expect(reference.model.parameters.get(name)!.isSetTo(parameter), name).toBe(!isAttention(name));
      }
    }
    expect(memory().liveTensors).toBe(before);
  },
);

test('weights of which nothing is trained are refused', async () => {
  using model = await loadModel(tinyModel, { dtype: 'float32' });
  expect(() => new Weights(model, { trainable: () => false })).toThrow('no parameter of the model is trainable');
});

test('weights that are moved all the way are the others, in the dtype of their own', async () => {
  using policy = new Weights(await loadModel(tinyModel, { dtype: 'float32' }));
  using anchor = policy.anchor();
  for (const parameter of policy.model.parameters.values()) parameter.mul_(1.5);
  expect(anchor.distance(policy)).toBeGreaterThan(0);
  const { before, after } = anchor.moveTowards_(policy, 0.5);
  expect(after).toBeCloseTo(before / 2, 5);
  anchor.moveTowards_(policy, 1);
  expect(anchor.checksums()).toEqual(policy.checksums());
  expect(anchor.sharesMemory(policy)).toBe(false);
});
