// Everything that runs on a GPU, on a simulated one (tests/support/simulated-cuda/device.cc): what is shown is that no
// tensor stays on the wrong device and that numbers are those of the CPU, not that a GPU computes them so.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  cudaMemory,
  deviceCount,
  memory,
  randn,
  resetPeakCudaMemory,
  startProfile,
  stopProfile,
  tensor,
  tidy,
} from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { RewardJudge } from '#reanchor/eval/rewards/reward-judge.js';
import { copyModel } from '#reanchor/models/architectures.js';
import { type CausalLM, sequenceLogprobs } from '#reanchor/models/causal-lm.js';
import { chooseDevice } from '#reanchor/models/device.js';
import { initModel } from '#reanchor/models/init.js';
import { loadModel } from '#reanchor/models/load.js';
import { Nf4Weight } from '#reanchor/nn/nf4-weight.js';
import { spanBatch } from '#reanchor/nn/spans.js';
import { readRun } from '#reanchor/runs/index.js';
import {
  deviceRuns,
  expectSameBitsAfterResuming,
  expectSameMeasures,
  expectSameRun,
  measuresOn,
  offloadedRuns,
  runOn,
} from '../support/device-runs.js';
import { gradients, pack } from '../support/packed.js';
import { references } from '../support/resuming.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';
import { tinyModel, weights } from '../support/training.js';

const hindrance = await simulateCuda();

describe.skipIf(hindrance !== undefined)('on a simulated CUDA device', () => {
  test('the device refuses what a GPU refuses, and counts its memory', () => {
    expect(deviceCount()).toBe(1);
    const before = cudaMemory();
    resetPeakCudaMemory();
    tidy(() => {
      const here = randn([4, 256]);
      const there = here.to({ device: 'cuda:0' });
      expect(there.device).toBe('cuda:0');
      expect(there.toList()).toEqual(here.toList());
      expect(tensor(Float64Array.of(1, 2, 3), { device: 'cuda:0', dtype: 'int64' }).toList()).toEqual([1, 2, 3]);
      expect(() => there.add(here)).toThrow(/same device/);
      expect(() => there.indexSelect(0, tensor(Int32Array.of(0)))).toThrow(/same device/);
      expect(cudaMemory().allocated - before.allocated).toBeGreaterThanOrEqual(4096);
    });
    expect(cudaMemory().allocated).toBe(before.allocated);
    expect(cudaMemory().peakAllocated - before.allocated).toBeGreaterThanOrEqual(4096);
  });

  test.each([false, true])('NF4 weights: their values, output and gradients (doubled: %s)', (isDoubled) => {
    tidy(() => {
      const [weight, x] = [randn([10, 27]), randn([5, 27])];
      const [cpu, cuda] = (['cpu', 'cuda:0'] as const).map((device) => {
        const packed = Nf4Weight.quantize(weight.to({ device }), { isDoubled });
        const input = x.clone().to({ device }).requiresGrad_();
        const output = packed.linear(input);
        output.sum().backward();
        expect([packed.device, output.device, input.grad!.device]).toEqual([device, device, device]);
        return [packed.dense(), packed.dense('bfloat16'), output, input.grad!].map((part) => part.toList());
      });
      expect(cuda).toEqual(cpu);
    });
  });

  test('names of devices', () => {
    expect([chooseDevice(), chooseDevice('auto'), chooseDevice('cuda'), chooseDevice('cpu')]).toEqual([
      'cuda:0',
      'cuda:0',
      'cuda:0',
      'cpu',
    ]);
    expect(() => chooseDevice('cuda:1')).toThrow(
      /cuda:1 is not there; libtorch sees one CUDA device, cuda:0\. .*doctor/,
    );
    expect(() => chooseDevice('gpu')).toThrow(/"gpu" is not allowed; auto, cpu, cuda/);
  });

  test.each(offloadedRuns)('a run whose optimizer is in main memory: $name', async (one) => {
    const { allocated } = cudaMemory();
    const { liveTensors } = memory();
    const measured = async (text: string) => {
      resetPeakCudaMemory();
      const run = await runOn('cuda', { text, generate: one.generate });
      expect([cudaMemory().allocated, memory().liveTensors]).toEqual([allocated, liveTensors]);
      return { run, peak: cudaMemory().peakAllocated - allocated };
    };
    const [without, having] = [await measured(one.plain), await measured(`${one.plain}\n${one.parallel}`)];
    expectSameRun(having.run, without.run, one.tolerance);
    expect(having.peak).toBeLessThan(without.peak);
  });

  test('an optimizer in main memory is for runs on a GPU', async () => {
    const { plain, parallel } = offloadedRuns[0]!;
    await expect(runOn('cpu', { text: `${plain}\n${parallel}` })).rejects.toThrow(
      'parallel.offload: optimizer is for runs on a GPU',
    );
  });

  test.each(deviceRuns)('a run: $name', async (one) => {
    const cpu = await runOn('cpu', one);
    const before = cudaMemory().allocated;
    resetPeakCudaMemory();
    const cuda = await runOn('cuda', one);
    expectSameRun(cuda, cpu, 'text' in one && one.text.includes('fp64') ? 1e-9 : 2e-5);
    expect(cudaMemory().allocated).toBe(before);
    expect(readRun(cuda.folder).run.machine.device).toBe('cuda:0');
    const steps = cuda.events.filter((event) => event.type === 'step');
    expect(steps.at(-1)!.metrics['memory/peak']).toBe(cudaMemory().peakAllocated);
    using ours = await loadModel(cuda.final, { dtype: 'float64' });
    using theirs = await loadModel(cpu.final, { dtype: 'float64' });
    expect(weights(ours)).toBeCloseToTensor(weights(theirs), 1e-4);
  });

  test.each([
    ['bf16', 'dpo'],
    ['bf16-params', 'dpo'],
    ['bf16', 'kto'],
  ])('a run in %s, %s, by flash attention', async (precision, method) => {
    const one = {
      text: `method: ${method}\nreference: { update: soft, alpha: 0.3 }\nprecision: ${precision}`,
      generate: false,
    };
    const cpu = await runOn('cpu', one);
    startProfile();
    const cuda = await runOn('cuda', one);
    const names = new Set(stopProfile().map(({ name }) => name));
    expect(names).toContain('aten::_flash_attention_forward');
    expect(names).toContain('aten::_flash_attention_backward');
    expectSameRun(cuda, cpu, 0.02);
  });

  test('log-probabilities and gradients by flash attention are those of float64 to the rounding of bfloat16', () => {
    const config = JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8'));
    using wide = initModel({ ...config, initializer_range: 0.2 }, { seed: 3, dtype: 'float32', device: 'cuda:0' });
    using half = copyModel(wide, 'bfloat16');
    using exact = copyModel(half, 'float64');
    const groups = [
      { prompt: [5, 6, 7, 8], completions: [[9, 10, 11], [12], [13, 14]] },
      {
        prompt: [],
        completions: [
          [3, 4, 5],
          [6, 7],
        ],
      },
      { prompt: [1, 2], completions: [[8, 9]] },
    ];
    tidy(() => {
      const results = (model: CausalLM) => {
        for (const parameter of model.parameters.values()) parameter.requiresGrad = true;
        const logprobs_S = sequenceLogprobs(model, spanBatch(pack(groups), model));
        return { logprobs_S, gradients: gradients(model, logprobs_S) };
      };
      const [found, expected] = [results(half), results(exact)];
      expect(found.logprobs_S).toBeCloseToTensor(expected.logprobs_S, 0.02);
      const error = Math.hypot(...found.gradients.map((value, i) => value - expected.gradients[i]!));
      expect(error / Math.hypot(...expected.gradients)).toBeLessThan(0.05);
    });
  });

  test('score, generate, the KL and rewards as a judge', async () => {
    const [cpu, cuda] = [await measuresOn('cpu'), await measuresOn('cuda')];
    expectSameMeasures(cuda, cpu);
    using judge = await RewardJudge.load({ model: tinyModel, reference: tinyModel });
    expect((await judge.judge({ prompt: 'A question', first: 'one', second: 'two' } as never)).first).toBe(0.5);
  });

  test.each([
    ['bf16', references.soft],
    ['fp32', references.cached],
  ])('a run in %s goes on from its checkpoint to the same bits', async (precision, reference) => {
    await expectSameBitsAfterResuming('cuda', precision, reference);
  });

  test('deterministic runs, and what does not go with them', async () => {
    const one = { text: 'method: dpo\ndeterministic: true' };
    await expect(runOn('cuda', one)).rejects.toThrow(
      /deterministic: true does not go with evaluate.generate on cuda:0/,
    );
    const cpu = await runOn('cpu', one);
    expect(process.env.CUBLAS_WORKSPACE_CONFIG).toBe(':4096:8');
    expect(cpu.losses).toHaveLength(4);
  });
});
