// 100,000 broken inputs over all readers, each under a watchdog of 2 s and 1 GiB.
import { expect, test } from 'vitest';
import { fuzz } from './drive.js';
import { campaign } from './readers.js';

test.each(campaign(100_000))('$inputs of $reader', async (part) => {
  const { findings, slowestMs, peakBytes } = await fuzz({ ...part, seed: 3 });
  expect(findings).toEqual([]);
  expect(slowestMs).toBeLessThan(2000);
  expect(peakBytes).toBeLessThan(1 << 30);
});
