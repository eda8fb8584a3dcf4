/** What a group of one process computes, every collective of which is made by its backend. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Device, type GroupOptions, ProcessGroup, TcpStore, tensor, tidy, zeros } from '@reanchor/torch';
import { expect } from 'vitest';
import { pairMicroBatch } from '#reanchor/data/index.js';
import { loadModel, readConfig } from '#reanchor/models/load.js';
import { CopiedReference } from '#reanchor/reference/copied-reference.js';
import { pairObjective } from '#reanchor/train/objectives/pairs.js';
import { loadWeights } from '#reanchor/weights/load.js';
import { ShardedWeights } from '#reanchor/weights/sharded-weights.js';
import type { ModelWeights } from '#reanchor/weights/weights.js';
import { readTensors } from './tensors.js';
import { loadTinyPairs, pairMethodOf, plainTrainer, tinyModel } from './training.js';

/** A group of this process alone over a store of its own, closed after `use`. */
export async function withGroupOfOne(
  options: Pick<GroupOptions, 'backend' | 'device'>,
  use: (group: ProcessGroup) => Promise<void> | void,
): Promise<void> {
  using store = TcpStore.host();
  using group = await ProcessGroup.open({ ...options, store, rank: 0, world: 1, timeoutSeconds: 60 });
  await use(group);
}

/** Collectives of one process give what they are given. */
export function expectCollectives(group: ProcessGroup, device: Device): void {
  tidy(() => {
    const given = () => tensor([1, 2, 3, 4]).to({ device });
    const whole = zeros([4], { device });
    const calls = [
      group.allReduce(given()),
      group.allReduce_(given()),
      group.allGather(given()),
      group.allGatherInto(whole, given()),
      group.reduceScatter(given()),
      group.broadcast_(given()),
    ];
    for (const call of calls) expect(call.wait().toList()).toEqual([1, 2, 3, 4]);
    expect(whole.toList()).toEqual([1, 2, 3, 4]);
    expect([...group.sum([5, 6])]).toEqual([5, 6]);
    group.barrier();
  });
}

/** Numbers of four steps of TR-DPO, and the final weights by name. */
async function stepsOfOne(world: ProcessGroup, shard: 'none' | 'parameters', device: Device) {
  using weights = await weightsOfOne(world, shard, device);
  using reference = new CopiedReference(weights, { update: 'soft', alpha: 0.3 });
  using trainer = plainTrainer(weights, pairObjective(pairMethodOf('sigmoid')), { reference });
  const pairs = await loadTinyPairs();
  const steps = [0, 1, 2, 3].flatMap((step) => {
    const positions = Array.from({ length: 6 }, (_, i) => 6 * step + i);
    const { scores, gradNorm, distance } = trainer.step(
      [positions.slice(0, 2), positions.slice(2)].map((rows) => pairMicroBatch(rows, pairs)),
    );
    return [...scores.map(({ loss }) => loss), gradNorm, distance!];
  });
  const folder = mkdtempSync(join(tmpdir(), 'group-of-one-'));
  try {
    await weights.save(folder, {});
    return { steps, weights: await readTensors(join(folder, 'model.safetensors')) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A run alone divides nothing, so that the weights are divided here. */
async function weightsOfOne(world: ProcessGroup, shard: 'none' | 'parameters', device: Device): Promise<ModelWeights> {
  if (shard === 'none') return await loadWeights(tinyModel, { dtype: 'float32', device });
  const options = { name: 'policy', world, shard, dtype: 'float32', device } as const;
  const weights = new ShardedWeights(await readConfig(tinyModel), options);
  await loadModel(tinyModel, { dtype: 'float32', device, place: (name, value) => weights.put(name, value) });
  weights.rest();
  return weights;
}

/** Divided parameters come to what undivided ones do. */
export async function expectSameSteps(group: ProcessGroup, device: Device): Promise<void> {
  const [whole, divided] = [await stepsOfOne(group, 'none', device), await stepsOfOne(group, 'parameters', device)];
  expect(divided.steps).toBeCloseToTensor(whole.steps, 1e-5);
  expect([...divided.weights.keys()]).toEqual([...whole.weights.keys()]);
  for (const [name, weight] of divided.weights) expect(weight, name).toBeCloseToTensor(whole.weights.get(name)!, 1e-5);
}
