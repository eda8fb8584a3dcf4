import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { memory, ones, resetPeak, tidy } from './index.js';

test('bytes of CPU tensors are counted, and at most how many there were', () => {
  const before = memory().tensorBytes;
  resetPeak();
  tidy(() => {
    const a = ones([1000, 250]);
    expect(memory().tensorBytes - before).toBe(1e6);
    a.neg().dispose();
    const view = a.view([250, 1000]);
    a.dispose();
    expect(memory().tensorBytes - before).toBe(1e6);
    view.dispose();
  });
  expect(memory().tensorBytes).toBe(before);
  expect(memory().peakTensorBytes - before).toBe(2e6);
});

test('a tensor of no element takes nothing', () => {
  const before = memory().tensorBytes;
  const empty = ones([0]);
  expect(memory().tensorBytes).toBe(before);
  empty.dispose();
  expect(memory().tensorBytes).toBe(before);
});

test('a freed block serves the next tensor of its size', () => {
  // Blocks that are freed and made again between others that stay, as in a training step.
  const code = `
    import { memory, ones } from ${JSON.stringify(fileURLToPath(new URL('./index.ts', import.meta.url)))};
    const block = () => ones([1 << 20]);
    ones([1 << 23]).dispose();
    let blocks = [];
    const kept = [];
    for (let i = 0; i < 40; i++) blocks.push(block()), kept.push(ones([100_000]));
    const before = memory();
    for (let round = 0; round < 3; round++) {
      for (const one of blocks) one.dispose();
      blocks = blocks.map(block);
    }
    const after = memory();
    console.log(JSON.stringify({ grown: after.peakRss - before.rss, tensors: after.tensorBytes - before.tensorBytes }));`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', code];
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  expect(stderr).toBe('');
  const { grown, tensors } = JSON.parse(stdout) as { grown: number; tensors: number };
  expect(tensors).toBe(0);
  // Of 160 MiB; with posix_memalign it grows by nearly as much again.
  expect(grown).toBeLessThan(16 * 2 ** 20);
});
