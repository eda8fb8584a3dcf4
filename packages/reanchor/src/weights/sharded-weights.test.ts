import { memory, ProcessGroup } from '@reanchor/torch';
import { expect, test, vi } from 'vitest';
import { expectCollectives, expectSameSteps, withGroupOfOne } from '../../../../tests/support/group-of-one.js';
import { tinyModel } from '../../../../tests/support/training.js';
import { loadModel, readConfig } from '../models/load.js';
import { type Shard, ShardedWeights } from './sharded-weights.js';

/** Weights of one process, whose calls are those of any number of them. */
async function dividedWeights(shard: Shard) {
  const world = ProcessGroup.alone();
  const weights = new ShardedWeights(await readConfig(tinyModel), {
    ...{ name: 'policy', world, shard, dtype: 'float32', device: 'cpu' },
  });
  using model = await loadModel(tinyModel, { dtype: 'float32' });
  for (const [name, value] of model.parameters) weights.put(name, value);
  weights.rest();
  return { world, weights };
}

test.each([
  ['parameters', 0],
  ['gradients', 1],
  ['optimizer', 1],
] as const)('%s: an update of the reference sends three numbers, and its weights %i times', async (shard, times) => {
  const { world, weights } = await dividedWeights(shard);
  using policy = weights;
  using reference = policy.anchor();
  const sum = vi.spyOn(world, 'sum');
  const gather = vi.spyOn(world, 'allGatherInto');
  for (const share of [0.3, 1]) {
    reference.moveTowards_(policy, share);
    expect(sum.mock.calls.splice(0).map(([numbers]) => numbers.length)).toEqual([3]);
    const gathered = gather.mock.calls.splice(0).reduce((n, [whole]) => n + whole.numel, 0);
    const numel = [...policy.model.parameters.values()].reduce((n, parameter) => n + parameter.numel, 0);
    expect(gathered).toBe(times * numel);
  }
  reference.distance(policy);
  expect(sum.mock.calls.map(([numbers]) => numbers.length)).toEqual([1]);
  expect(gather).not.toHaveBeenCalled();
});

test('divided parameters are whole while work asks for them, through passes as well, and gone after it', async () => {
  const { weights } = await dividedWeights('parameters');
  using policy = weights;
  using whole = await loadModel(tinyModel, { dtype: 'float32' });
  const before = memory().tensorBytes;
  await policy.gathered(async () => {
    policy.model.residency!.enter(0, 1);
    policy.model.residency!.leave(0);
    for (const [name, value] of whole.parameters)
      expect(policy.model.parameters.get(name)!.toList()).toEqual(value.toList());
  });
  expect(memory().tensorBytes).toBe(before);
  await expect(policy.gathered(() => Promise.reject(new Error('no answers')))).rejects.toThrow('no answers');
  expect(memory().tensorBytes).toBe(before);
});

test('what is sent to be saved leaves no tensor behind', async () => {
  const { weights } = await dividedWeights('parameters');
  using policy = weights;
  const { liveTensors } = memory();
  await policy.takePart({ what: 'parameters' }, undefined);
  expect(memory().liveTensors).toBe(liveTensors);
});

test('a group of one process by gloo: divided parameters come to what undivided ones do', () =>
  withGroupOfOne({ backend: 'gloo' }, async (group) => {
    expectCollectives(group, 'cpu');
    await expectSameSteps(group, 'cpu');
  }));
