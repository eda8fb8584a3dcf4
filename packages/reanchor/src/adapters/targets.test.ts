import { describe, expect, test } from 'vitest';
import { targetModules, targetNames } from './targets.js';
import { tinyGptNeox, tinyLlama } from './testing/networks.js';

const llama = tinyLlama();
const all = [...llama.linear.keys()];

describe('targetModules', () => {
  test('all-linear is every linear layer of the blocks, in their order', () => {
    expect(targetModules('all-linear', llama)).toEqual(all);
    expect(targetModules('all-linear', tinyGptNeox())).toHaveLength(2);
  });

  test('a list names modules by whole ends of their paths', () => {
    const attention = (layer: number) => [
      `model.layers.${layer}.self_attn.q_proj`,
      `model.layers.${layer}.self_attn.v_proj`,
    ];
    expect(targetModules(['v_proj', 'q_proj'], llama)).toEqual([...attention(0), ...attention(1)]);
    expect(targetModules(['layers.1.mlp.up_proj', all[0]!], llama)).toEqual([all[0], 'model.layers.1.mlp.up_proj']);
  });

  test('a regular expression between slashes is matched with whole paths', () => {
    expect(targetModules('/.*\\.1\\..*_proj/', llama)).toEqual(all.slice(3));
    expect(targetModules(`/${all[0]}|${all[5]}/`, llama)).toEqual([all[0], all[5]]);
    expect(() => targetModules('/q_proj/', llama)).toThrow(
      'targets "/q_proj/" matches no linear layer; one is model.layers.0.self_attn.q_proj',
    );
  });

  test.each([
    [['q_porj'], 'targets: "q_porj" is no linear layer; did you mean q_proj?'],
    [['q_proj', 'gate'], 'targets: "gate" is no linear layer; layers are q_proj, v_proj, up_proj'],
    [['proj'], '"proj" is no linear layer'],
    [['lm_head'], 'targets: "lm_head" is the embedding or the head, of which none is trained; layers are'],
    [['model.embed_tokens'], 'is the embedding or the head'],
    [[], 'targets is empty; it may be all-linear, a list such as'],
    ['q_proj', 'targets "q_proj" is not one of all-linear, a list such as [q_proj, v_proj]'],
    ['/(/', 'targets: /(/ is no regular expression'],
    ['//', 'targets "//" is not one of'],
  ])('%j is refused with what is allowed', (targets, message) => {
    expect(() => targetModules(targets, llama)).toThrow(message);
    expect(() => targetModules(targets, llama)).toThrow(expect.objectContaining({ name: 'UsageError' }));
  });

  test('a regular expression without an end is ended', () => {
    expect(() => targetModules(`/(${'([a-z._0-9]+)*'.repeat(4)})*!/`, llama)).toThrow('takes too long');
  }, 20_000);
});

describe('targetNames', () => {
  test('are ends of paths where these mean the modules and no other, else paths', () => {
    expect(targetNames(all, llama)).toEqual(['q_proj', 'up_proj', 'v_proj']);
    expect(targetNames(targetModules(['q_proj'], llama), llama)).toEqual(['q_proj']);
    expect(targetNames(all.slice(3), llama)).toEqual(all.slice(3).sort());
    expect(targetNames([all[0]!], llama)).toEqual([all[0]]);
    expect(targetNames(tinyGptNeox().linear.keys(), tinyGptNeox())).toEqual(['dense', 'query_key_value']);
  });
});
