// Needs a CUDA device and an addon compiled with NCCL; skipped elsewhere. One GPU is a group of one process.
import { backends, isCudaAvailable } from '@reanchor/torch';
import { describe, test } from 'vitest';
import { expectCollectives, expectSameSteps, withGroupOfOne } from '../support/group-of-one.js';

describe.skipIf(!isCudaAvailable() || !backends().includes('nccl'))('a group of one process by NCCL', () => {
  const nccl = { backend: 'nccl', device: 'cuda:0' } as const;

  test('collectives give what they are given', () =>
    withGroupOfOne(nccl, (group) => expectCollectives(group, 'cuda:0')));

  test('divided parameters come to what undivided ones do', () =>
    withGroupOfOne(nccl, (group) => expectSameSteps(group, 'cuda:0')));
});
