import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alphasOf } from './alphas.js';
import { parseAdapterConfig } from './config.js';
import { tinyLlama } from './testing/networks.js';

const modules = [...tinyLlama().linear.keys()];
const alphas = (pattern: Record<string, number>, paths: readonly string[] = modules) =>
  alphasOf(parseAdapterConfig({ lora_alpha: 6, alpha_pattern: pattern }, 'c.json'), paths, 'c.json');
/** The modules of another alpha than 6. */
const changed = (pattern: Record<string, number>) =>
  Object.fromEntries([...alphas(pattern)].filter(([, alpha]) => alpha !== 6));

describe('the alpha of a module', () => {
  test('is that of the config where no pattern matches', () => {
    expect(changed({})).toEqual({});
    expect(changed({ k_proj: 9, proj: 9, 'layers.0': 9 })).toEqual({});
  });

  test.each([
    ['q_proj', ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj']],
    ['.*v_proj', ['model.layers.0.self_attn.v_proj', 'model.layers.1.self_attn.v_proj']],
    ['model.layers.0.mlp.up_proj', ['model.layers.0.mlp.up_proj']],
    ['layers.1.self_attn.q_proj', ['model.layers.1.self_attn.q_proj']],
    ['layers\\.[1-3]\\..*\\.(q|v)_proj', ['model.layers.1.self_attn.q_proj', 'model.layers.1.self_attn.v_proj']],
    ['^model\\.layers\\.\\d+\\.mlp\\.(?:up|gate)_proj$', ['model.layers.0.mlp.up_proj', 'model.layers.1.mlp.up_proj']],
    ['layers.0.mlp.up_proj|layers.1.mlp.up_proj', ['model.layers.0.mlp.up_proj', 'model.layers.1.mlp.up_proj']],
    ['up\\_proj{1}', ['model.layers.0.mlp.up_proj', 'model.layers.1.mlp.up_proj']],
  ])('%s matches what it does in PEFT', (pattern, wanted) => {
    expect(Object.keys(changed({ [pattern]: 9 }))).toEqual(wanted);
  });

  test('does not depend on the order of patterns that agree', () => {
    const wanted = { 'model.layers.0.self_attn.q_proj': 9, 'model.layers.1.self_attn.q_proj': 9 };
    expect(changed({ 'layers.0.self_attn.q_proj': 9, q_proj: 9 })).toEqual(wanted);
  });

  test('is refused where two patterns give it two', () => {
    expect(() => alphas({ q_proj: 9, 'layers.1.self_attn.q_proj': 3 })).toThrow(
      'c.json, alpha_pattern: model.layers.1.self_attn.q_proj is matched by "q_proj" with alpha 9, and by ' +
        '"layers.1.self_attn.q_proj" with alpha 3; PEFT takes the first, and does not keep their order: leave one of them',
    );
  });

  test.each([
    '(?P<n>q)_proj',
    '(?i)Q_PROJ',
    '(?i:q)_proj',
    'q_proj\\Z',
    '(?=q)q_proj',
    'q_proj++',
    '(q',
    '*',
    '[]q]',
    'q{,2}',
    'é',
  ])('%s, which the languages read otherwise or not at all, is refused', (pattern) =>
    expect(() => alphas({ [pattern]: 9 })).toThrow(/alpha_pattern: ".*" is not read: paths of modules are/),
  );

  test('has no pattern of more than 1,000 letters', () => {
    expect(() => alphas({ ['x'.repeat(1001)]: 9 })).toThrow('is not read');
  });

  test('is refused where patterns take too long', () => {
    const hostile = `${'(.*)*'.repeat(8)}x`;
    expect(() => alphas({ [hostile]: 9 }, ['a'.repeat(200)])).toThrow('alpha_pattern: its patterns take too long');
  }, 20_000);

  test('is found by its path, and by every end of it', () => {
    const choice = fc.record({ module: fc.constantFrom(...modules), names: fc.integer({ min: 1, max: 5 }) });
    fc.assert(
      fc.property(choice, fc.integer({ min: 7, max: 100 }), ({ module, names }, alpha) => {
        const end = module.split('.').slice(-names).join('.');
        const wanted = modules.filter((path) => path === end || path.endsWith(`.${end}`));
        expect(changed({ [end]: alpha })).toEqual(Object.fromEntries(wanted.map((path) => [path, alpha])));
      }),
    );
  });

  test('of hundreds of modules, each with a pattern, takes no time to speak of', () => {
    const paths = Array.from({ length: 560 }, (_, i) => `model.layers.${Math.floor(i / 7)}.mlp.proj_${i % 7}`);
    const begin = process.cpuUsage();
    const found = alphas(Object.fromEntries(paths.map((path, i) => [path, i + 1])), paths);
    expect([...found.values()]).toEqual(paths.map((_, i) => i + 1));
    expect(process.cpuUsage(begin).user / 1e6).toBeLessThan(2);
  });
});
