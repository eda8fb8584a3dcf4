// `kernels: fused` on the simulated device: whole runs beside those of operators, a sample of those of
// fused-runs.slow.test.ts, and who may ask for it.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cudaMemory, randn, startProfile, stopProfile, tidy } from '@reanchor/torch';
import { describe, expect, test } from 'vitest';
import { keptPerToken } from '#reanchor/estimate/activations.js';
import { copyModel } from '#reanchor/models/architectures.js';
import { type CausalLM, sequenceLogprobs } from '#reanchor/models/causal-lm.js';
import { loadModel, readConfig } from '#reanchor/models/load.js';
import { modelShape } from '#reanchor/models/shape.js';
import type { KernelForm } from '#reanchor/nn/module.js';
import { spanBatch } from '#reanchor/nn/spans.js';
import { recipeDevice } from '#reanchor/planning/device.js';
import { FusedWeights } from '#reanchor/weights/fused-weights.js';
import { Weights } from '#reanchor/weights/weights.js';
import { useKernelLibraries } from '#torch/device-kernels.js';
import { expectSameBitsAfterResuming } from '../support/device-runs.js';
import { expectFusedLayers, expectFusedSteps, fusedLayerRuns, fusedRuns } from '../support/fused-runs.js';
import { gradients, pack } from '../support/packed.js';
import { architectures, references, tinyModelOf } from '../support/resuming.js';
import { simulateCuda } from '../support/simulated-cuda/load.js';
import { tinyModel } from '../support/training.js';

const hindrance = await simulateCuda();

describe.skipIf(hindrance !== undefined)('kernels: fused on a simulated CUDA device', () => {
  const recipe = { device: 'auto', deterministic: false, evaluate: {}, parallel: { offload: 'none' } } as never;

  test('without NVRTC it is refused, with where that was looked for', () => {
    useKernelLibraries({ nvrtc: '/nowhere/libnvrtc.so.13', builtins: '', driver: '' });
    const asked = { ...(recipe as object), kernels: 'fused' } as never;
    expect(() => recipeDevice(asked)).toThrow(
      /kernels: fused cannot be had on cuda:0: cannot open \/nowhere\/libnvrtc\.so\.13.*Or use kernels: composed/s,
    );
    expect(() => recipeDevice(asked, 'cpu')).toThrow(/kernels: fused is for runs on a GPU.*remove the key/);
    expect(recipeDevice(recipe, 'cuda:0')).toBe('cuda:0');
  });

  test.each(fusedRuns.filter(({ isSampled }) => isSampled))(
    'a run has the numbers of one of operators, in one pass a step: $precision, $text',
    expectFusedSteps,
  );

  test.each(fusedLayerRuns.filter(({ isSampled }) => isSampled))(
    'layers of a run have the numbers of operators: $model, $precision, $text',
    expectFusedLayers,
  );

  test('what blocks keep less than those of operators is what estimate says', async () => {
    const { layers, block } = modelShape(await readConfig(tinyModel));
    const batch = pack([{ prompt: [5, 6, 7, 8], completions: [[9, 10, 11], [12]] }]);
    const keptBytes = async (kernels: KernelForm) => {
      using model = await loadModel(tinyModel, { dtype: 'float32', device: 'cuda:0', kernels });
      for (const parameter of model.parameters.values()) parameter.requiresGrad = true;
      return tidy(() => {
        const spans = spanBatch(batch, model);
        const before = cudaMemory().allocated;
        model.hidden(spans);
        return cudaMemory().allocated - before;
      });
    };
    const less = (await keptBytes('composed')) - (await keptBytes('fused'));
    const saved = keptPerToken(block) - keptPerToken(block, undefined, 'fused');
    expect(saved).toBe(block.feedForward);
    expect(less).toBe(4 * batch.tokens.length * layers * saved);
  });

  test.each(architectures)('%s: gradients of gathered keys and values are those of float64', async (architecture) => {
    const folder = await tinyModelOf(architecture, mkdtempSync(join(tmpdir(), 'gathered-')));
    const place = { dtype: 'bfloat16', device: 'cuda:0' } as const;
    using fused = await loadModel(folder, { ...place, kernels: 'fused' });
    using composed = await loadModel(folder, place);
    using exact = copyModel(composed, 'float64');
    const batch = pack([
      { prompt: [5, 6, 7, 8], completions: [[9, 10, 11], [12], [13, 14]] },
      {
        prompt: [1, 2],
        completions: [
          [8, 9],
          [3, 4, 5],
        ],
      },
    ]);
    tidy(() => {
      const results = (model: CausalLM) => {
        for (const parameter of model.parameters.values()) parameter.requiresGrad = true;
        startProfile();
        const found = gradients(model, sequenceLogprobs(model, spanBatch(batch, model)));
        const picks = stopProfile().filter(({ name }) => name === 'aten::index_select');
        return { gradients: found, picks: picks.length };
      };
      const [found, byOperators, expected] = [results(fused), results(composed), results(exact)];
      // Keys and values of each layer.
      const { num_hidden_layers } = fused.configJson;
      expect(byOperators.picks - found.picks).toBe(2 * (num_hidden_layers as number));
      const distance = (other: readonly number[]) => Math.hypot(...other.map((x, i) => x - expected.gradients[i]!));
      expect(distance(found.gradients)).toBeLessThan(1.2 * distance(byOperators.gradients));
      expect(distance(found.gradients)).toBeLessThan(0.05 * Math.hypot(...expected.gradients));
    });
  });

  test.each([
    ['bf16', references.soft],
    ['fp32', references.hard],
    ['bf16', references.soft, 'adapter={ r: 4, targets: all-linear }', 'activationCheckpointing=true'],
    ['bf16', references.fixed, 'evaluate.generate={ prompts: 2, maxNewTokens: 4 }', 'deterministic=false'],
  ])('a run in %s goes on from its checkpoint to the same bits: %s %s', async (precision, reference, ...set) => {
    await expectSameBitsAfterResuming('cuda', precision, reference, 'kernels=fused', ...set);
  });

  test('a reference that no step has moved is measured and moved by a pass of its own', async () => {
    using policy = new FusedWeights(await loadModel(tinyModel, { dtype: 'float32', device: 'cuda:0' }));
    using plain = new Weights(copyModel(policy.model));
    using reference = policy.anchor();
    using expected = plain.anchor();
    tidy(() => {
      for (const [name, weight] of policy.trained) {
        weight.detach().add_(randn([...weight.shape], { device: 'cuda:0' }).mul(0.01));
        plain.trained.get(name)!.detach().copy_(weight);
      }
    });
    expect(reference.checksums()).toEqual(expected.checksums());
    expect(reference.distance(policy)).toBeCloseTo(expected.distance(plain), 5);
    expect(reference.checksums()).toEqual(expected.checksums());
    const [moved, wanted] = [reference.moveTowards_(policy, 0.3), expected.moveTowards_(plain, 0.3)];
    expect(Object.values(moved)).toBeCloseToTensor(Object.values(wanted) as number[], 1e-6);
    expect(reference.checksums()).toEqual(expected.checksums());
    expect(reference.checksums()).toEqual(expected.checksums());
  });
});
