// The script for machines with several GPUs, on two processes of the CPU.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';

const script = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', join(repositoryRoot, 'scripts/check-gpus.ts'), ...args], {
    ...{ cwd: repositoryRoot, encoding: 'utf8' },
    env: { ...process.env, CUDA_VISIBLE_DEVICES: '' },
  });

test('on 2 processes of the CPU all that can be judged is met', () => {
  const { status, stdout, stderr } = script('--device', 'cpu');
  console.log(stdout);
  expect({ status, missed: stdout.includes('MISSED') }, stderr).toEqual({ status: 0, missed: false });
  for (const shard of ['none', 'optimizer', 'gradients', 'parameters'])
    for (const what of ['numbers of steps', 'final weights', 'held between steps', 'at the peak'])
      expect(stdout).toMatch(new RegExp(`^${shard}: ${what} .* met$`, 'm'));
  expect(stdout.match(/^stopped on .* met$/gm)).toHaveLength(3);
  expect(stdout).toMatch(/^cpu, 2 processes: all is met$/m);
});

test('without GPUs it says so, and is no success', () => {
  const { status, stderr } = script('--processes', '2');
  expect(status).toBe(2);
  expect(stderr).toMatch(/the addon has no NCCL|there are 0/);
});
