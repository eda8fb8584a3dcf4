// Needs a CUDA device and a CUDA build of libtorch; skipped elsewhere.
import { isCudaAvailable } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import {
  deviceRuns,
  expectSameBitsAfterResuming,
  expectSameMeasures,
  expectSameRun,
  measuresOn,
  offloadedRuns,
  runOn,
} from '../support/device-runs.js';
import { references } from '../support/resuming.js';

describe.skipIf(!isCudaAvailable())('a run on a GPU has the numbers of one on the CPU', () => {
  test.each(deviceRuns)('$name', async (one) => {
    expectSameRun(await runOn('cuda', one), await runOn('cpu', one), one.text.includes('fp64') ? 1e-9 : 1e-3);
  });

  test.each(offloadedRuns)('with its optimizer in main memory: $name', async ({ plain, parallel, generate }) => {
    const [having, without] = [`${plain}\n${parallel}`, plain].map((text) => ({ text, generate }));
    expectSameRun(await runOn('cuda', having!), await runOn('cuda', without!), plain.includes('bf16') ? 0.05 : 1e-3);
  });

  test.each(['bf16', 'bf16-params'])('DPO in %s, by flash attention', async (precision) => {
    const one = {
      text: `method: dpo\nreference: { update: soft, alpha: 0.3 }\nprecision: ${precision}`,
      generate: false,
    };
    expectSameRun(await runOn('cuda', one), await runOn('cpu', one), 0.05);
  });

  test('deterministic: the same bits twice', async () => {
    const one = {
      text: 'method: dpo\nprecision: bf16\ndeterministic: true\nreference: { update: soft, alpha: 0.3 }',
      generate: false,
    };
    expect((await runOn('cuda', one)).losses).toEqual((await runOn('cuda', one)).losses);
  });

  test('score, generate and the KL', async () => {
    expectSameMeasures(await measuresOn('cuda'), await measuresOn('cpu'));
  });

  test.each([
    ['bf16', references.soft],
    ['fp32', references.cached],
  ])('a run in %s goes on from its checkpoint to the same bits', async (precision, reference) => {
    await expectSameBitsAfterResuming('cuda', precision, reference);
  });
});
