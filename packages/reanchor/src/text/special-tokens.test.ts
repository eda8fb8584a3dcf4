import { expect, test } from 'vitest';
import { namedTokens } from './special-tokens.js';

const empty = { config: {}, specialTokens: {}, addedTokens: {} };

test('every named special token is a variable of templates, as in transformers 5.18', () => {
  const config = {
    bos_token: '<s>',
    image_token: '<image>',
    audio_token: { __type: 'AddedToken', content: '<audio>' },
    add_bos_token: true,
    extra_special_tokens: { video: '<video>', boi_token: '<boi>' },
  };
  expect(namedTokens({ ...empty, config }, undefined)).toEqual({
    bos_token: '<s>',
    audio_token: '<audio>',
    image_token: '<image>',
    video: '<video>',
    boi_token: '<boi>',
  });
});

test('special_tokens_map.json counts where there is no added_tokens_decoder; texts of the config come before it', () => {
  const config = { image_token: '<config>', audio_token: { content: '<config>' } };
  const specialTokens = {
    image_token: '<map>',
    audio_token: '<map>',
    eoi_token: { content: '<eoi>' },
    extra_special_tokens: ['<list>'],
    additional_special_tokens: ['<more>'],
  };
  expect(namedTokens({ ...empty, config, specialTokens }, undefined)).toEqual({
    image_token: '<config>',
    audio_token: '<map>',
    eoi_token: '<eoi>',
  });
  const decided = { ...config, added_tokens_decoder: {} };
  expect(namedTokens({ ...empty, config: decided, specialTokens }, undefined)).toEqual({
    audio_token: '<config>',
    image_token: '<config>',
  });
});
