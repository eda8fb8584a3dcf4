import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alphasOf } from './alphas.js';
import { parseAdapterConfig } from './config.js';
import { adapterConfigJson, rewrittenConfigJson } from './config-json.js';
import { type LowRankShape, scaleOf } from './low-rank-shape.js';
import { tinyLlama } from './testing/networks.js';

const network = tinyLlama();
const paths = [...network.linear.keys()];
const shape = (r: number, alpha: number, rslora = false): LowRankShape => {
  return { r, alpha, scale: scaleOf({ r, alpha, rslora }), isDora: false, hasBias: false };
};
const same = new Map(paths.map((path) => [path, shape(4, 8)]));
const jsonOf = (modules: ReadonlyMap<string, LowRankShape>, rslora = false) =>
  adapterConfigJson({ network, modules, rslora, dropout: 0.1, base: 'owner/name' });

describe('adapterConfigJson', () => {
  test('has the 41 keys of PEFT 0.21, and targets in their short form', () => {
    const json = jsonOf(same);
    expect(Object.keys(json)).toHaveLength(41);
    expect(json).toMatchObject({
      ...{ r: 4, lora_alpha: 8, lora_dropout: 0.1, rank_pattern: {}, alpha_pattern: {}, use_dora: false },
      ...{ target_modules: ['q_proj', 'up_proj', 'v_proj'], base_model_name_or_path: 'owner/name' },
      ...{ peft_type: 'LORA', task_type: 'CAUSAL_LM', inference_mode: true, peft_version: '0.21.0' },
    });
  });

  test('a base without a name is null', () => {
    const json = adapterConfigJson({ network, modules: same, rslora: false, dropout: 0, base: undefined });
    expect(json.base_model_name_or_path).toBeNull();
  });

  test('what it says of rank, alpha, DoRA and biases is read as it was', () => {
    const some = fc.record({ r: fc.integer({ min: 1, max: 9 }), alpha: fc.integer({ min: 1, max: 40 }) });
    const shapes = fc.array(some, { minLength: paths.length, maxLength: paths.length });
    const kind = fc.constantFrom({}, { isDora: true }, { hasBias: true });
    fc.assert(
      fc.property(shapes, kind, fc.boolean(), (list, flags, rslora) => {
        const modules = new Map(
          paths.map((path, i) => [path, { ...shape(list[i]!.r, list[i]!.alpha, rslora), ...flags }]),
        );
        const config = parseAdapterConfig(jsonOf(modules, rslora), 'c.json');
        const alphas = alphasOf(config, paths, 'c.json');
        for (const [path, { r, alpha, isDora, hasBias }] of modules) {
          expect(alphas.get(path)).toBe(alpha);
          expect(config.rankPattern.get(path) ?? config.r).toBe(r);
          expect([config.dora, config.loraBias, config.rslora]).toEqual([isDora, hasBias, rslora]);
        }
      }),
    );
  });

  test('the rank and alpha of most modules are those of the config', () => {
    const json = jsonOf(new Map([...same, [paths[0]!, shape(2, 16)]]));
    expect(json).toMatchObject({ r: 4, lora_alpha: 8 });
    expect(json).toMatchObject({ rank_pattern: { [paths[0]!]: 2 }, alpha_pattern: { [paths[0]!]: 16 } });
  });

  test('a mixture of DoRA and LoRA, or a scale of its own, has no config', () => {
    const mixed = new Map([...same, [paths[0]!, { ...shape(4, 8), isDora: true }]]);
    expect(() => jsonOf(mixed)).toThrow("are DoRA's");
    expect(() => jsonOf(same, true)).toThrow('scale 2 is not that of alpha 8 and r 4');
  });
});

test('a config that was read keeps its keys and has those that it lacked', () => {
  const read = { r: 3, new_key: [1], peft_version: '0.5.0', lora_dropout: 0.2 };
  const json = rewrittenConfigJson(parseAdapterConfig(read, 'c.json'));
  expect(json).toMatchObject(read);
  expect(Object.keys(json)).toHaveLength(42);
});
