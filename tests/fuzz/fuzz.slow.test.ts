// 100,000 broken inputs over all readers, each under a watchdog of 2 s and 1 GiB.
import { test, vi } from 'vitest';

import { fuzz } from './drive.js';
import { campaign } from './readers.js';

// A process a core: more of them would look like hangs.
vi.setConfig({ maxConcurrency: 2 });

test.concurrent.for(campaign(100_000))('$inputs of $reader', async (part, { expect }) => {
  const { findings, slowestMs, peakBytes } = await fuzz({ ...part, seed: 3 });
  expect(findings).toEqual([]);
  expect(slowestMs).toBeLessThan(2000);
  expect(peakBytes).toBeLessThan(1 << 30);
});
