// 5,000 optimizer steps: nothing accumulates.
import { setImmediate } from 'node:timers/promises';
import { memory } from '@reanchor/torch';
import { expect, test } from 'vitest';
import { tinyTrainer } from '../support/training.js';

test('live tensors and resident memory are flat over 5,000 steps', async () => {
  using training = await tinyTrainer({ update: 'soft', alpha: 0.6 });
  const live = new Set<number>();
  const rss: number[] = [];
  for (let i = 0; i < 5000; i++) {
    training.step(i);
    await setImmediate();
    if (i % 100 !== 99) continue;
    live.add(memory().liveTensors);
    rss.push(memory().rss / 2 ** 20);
  }
  const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;
  const [middle, end] = [median(rss.slice(20, 30)), median(rss.slice(-10))];
  console.log(
    `live tensors ${[...live]}; RSS ${middle.toFixed(1)} MB after 2,500 steps, ${end.toFixed(1)} MB after 5,000`,
  );
  expect(live.size).toBe(1);
  expect(end - middle).toBeLessThan(4);
});
