// What 2 processes hold and send over many steps, and beside one process.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { shardModes } from '#reanchor/estimate/index.js';
import { type MeasuredCall, rests } from '../support/measured-group.js';
import { sizedLlama } from '../support/sized-llama.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { ranksOfTests } from '../support/training-ranks.js';

const { ranks, folder } = ranksOfTests(2, 'parallel-memory');

let runs = 0;
const measured = (world: number, keys: object) => {
  const recipe = JSON.stringify({
    ...{ model: tinyModel, method: 'dpo', data: { train: tinyPairs, limit: 24, maxLength: 48 } },
    ...{ batch: { size: 8, tokensPerMicroBatch: 100 }, steps: 50, device: 'cpu', threads: 1 },
    ...{ reference: { update: 'soft', alpha: 0.3 }, ...keys },
  });
  return ranks.measure(world, { recipe, out: join(folder, `run ${runs++}`) });
};

test.each(shardModes)('shard: %s: live tensors are the same after each of 50 steps', async (shard) => {
  for (const { calls } of await measured(2, { parallel: { shard } })) {
    // The first one is before the optimizer has state.
    const live = rests(calls, 'live').slice(1);
    expect(live.length).toBe(48);
    expect([...new Set(live)]).toEqual([live[0]]);
  }
});

test('an update of divided weights sends less than 200 bytes, and processes send the same', async () => {
  const keys = { parallel: { shard: 'parameters' } };
  const sent = ({ name, bytes }: MeasuredCall) => [name, bytes] as const;
  const bytesOf = async (update: object) => {
    const [first, second] = await measured(2, { ...keys, reference: update });
    expect(second!.calls.map(sent)).toEqual(first!.calls.map(sent));
    return first!.calls.reduce((sum, { bytes }) => sum + bytes, 0);
  };
  const fixed = await bytesOf({ update: 'fixed' });
  for (const update of [
    { update: 'soft', alpha: 0.3 },
    { update: 'hard', tau: 2 },
  ]) {
    const more = ((await bytesOf(update)) - fixed) / 50;
    expect(more, update.update).toBeGreaterThan(0);
    expect(more, update.update).toBeLessThan(200);
  }
});

test('2 processes that divide all hold at most 0.65 of what one does, at their peak', async () => {
  const model = join(folder, 'model');
  const sizes = { hidden_size: 448, intermediate_size: 1144, num_hidden_layers: 8 };
  const heads = { num_attention_heads: 7, num_key_value_heads: 7, head_dim: 64 };
  const parameters = await sizedLlama(model, { vocab_size: 512, ...sizes, ...heads });
  const keys = { model, activationCheckpointing: true, steps: 3, parallel: { shard: 'parameters' } };
  const [alone] = await measured(1, keys);
  const both = await measured(2, keys);
  const shares = both.map(({ peak }) => peak / alone!.peak);
  console.log(
    `${(parameters / 1e6).toFixed(1)} M parameters: ${(alone!.peak / 1e6).toFixed(0)} MB alone, ` +
      `${shares.map((share) => share.toFixed(3)).join(' and ')} of that on 2 processes`,
  );
  for (const share of shares) expect(share).toBeLessThanOrEqual(0.65);
});
