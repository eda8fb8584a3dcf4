import { describe, expect, test } from 'vitest';
import { FormatError } from '../errors.js';
import { Float } from '../formats/exact-json.js';
import { Fields } from './fields.js';
import { isLearnt, isSilent, messageOf, textOf } from './message.js';

const read = (message: object) => {
  const wrong = (text: string) => new FormatError(text, { file: 'f' });
  return messageOf(new Fields(message as Record<string, unknown>, wrong, 'a message is ...'));
};
const call = { type: 'function', function: { name: 'f', arguments: {} } };

describe('a message of a row', () => {
  test.each<[string, object, object]>([
    [
      'keeps all its fields, in their order',
      { name: 'n', role: 'assistant', reasoning_content: 'r', content: 'c', tool_calls: [call] },
      { name: 'n', role: 'assistant', reasoning_content: 'r', content: 'c', tool_calls: [call] },
    ],
    ["in ShareGPT's words", { from: 'human', value: 'q', weight: 0 }, { role: 'user', content: 'q', weight: 0 }],
    ["of a tool, in ShareGPT's words", { from: 'observation', value: '5' }, { role: 'tool', content: '5' }],
    [
      "a call in LLaMA-Factory's words",
      { from: 'function_call', value: '{"name": "f", "arguments": {"x": 1}}' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ type: 'function', function: { name: 'f', arguments: { x: 1 } } }],
      },
    ],
    [
      'a call with other fields, and numbers as Python has them',
      { from: 'function_call', id: 1, value: '[{"name": "f", "arguments": {"x": 2.0, "n": 12345678901234567890}}]' },
      {
        role: 'assistant',
        id: 1,
        content: '',
        tool_calls: [
          { type: 'function', function: { name: 'f', arguments: { x: new Float(2), n: 12345678901234567890n } } },
        ],
      },
    ],
    ["ShareGPT's names of who speaks, as roles", { role: 'gpt', content: 'a' }, { role: 'assistant', content: 'a' }],
    ['a role that some templates have', { role: 'observation', content: '5' }, { role: 'observation', content: '5' }],
    [
      'a role that is a word of JavaScript',
      { role: 'constructor', content: 'x' },
      { role: 'constructor', content: 'x' },
    ],
    [
      'null beside calls',
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'assistant', content: null, tool_calls: [call] },
    ],
    ['no content beside calls', { role: 'assistant', tool_calls: [call] }, { role: 'assistant', tool_calls: [call] }],
    [
      'content in parts',
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
      { role: 'user', content: [{ type: 'text', text: 'a' }] },
    ],
    ['a role of another kind', { role: 'ipython', content: 'x' }, { role: 'ipython', content: 'x' }],
  ])('%s', (_name, given, expected) => {
    const message = read(given);
    expect(message).toEqual(expected);
    expect(Object.keys(message)).toEqual(Object.keys(expected));
  });

  test.each<[string, object, RegExp]>([
    ['of a user without content', { role: 'user', content: null }, /"content" is null, not text/],
    ['of an assistant with nothing', { role: 'assistant' }, /"content" is missing/],
    [
      'an image',
      { role: 'user', content: [{ type: 'image_url', image_url: 'x' }] },
      /is "image_url": only text is read/,
    ],
    ['a part of text without text', { role: 'user', content: [{ type: 'text' }] }, /"content\[0\].text" is missing/],
    ['a weight between', { role: 'assistant', content: 'a', weight: 0.5 }, /"weight" says how much an answer counts/],
    ['a weight of a call', { from: 'function_call', value: '{"name": "f"}', weight: 0.5 }, /"weight" says how much/],
    ['a call that is none', { from: 'function_call', value: 'f(x)' }, /is no call of a function/],
    ['no role', { content: 'x' }, /"role" is missing/],
  ])('%s is an error', (_name, given, message) => {
    expect(() => read(given)).toThrow(message);
  });
});

describe('an answer that is not to be learnt', () => {
  test.each(['weight', 'loss', 'train', 'training', 'loss_mask', 'step_loss_mask'])('says so by %s', (name) => {
    const answer = (value: unknown) => isLearnt(read({ role: 'assistant', content: 'a', [name]: value }));
    expect([0, false].map(answer)).toEqual([false, false]);
    expect([1, true, null].map(answer)).toEqual([true, true, true]);
    expect(isLearnt(read({ role: 'user', content: 'a', [name]: 0 }))).toBe(true);
    expect(isLearnt(read({ from: 'function_call', value: '{"name": "f"}', [name]: 0 }))).toBe(false);
  });
});

test('a message is silent without text, thoughts and calls', () => {
  expect(isSilent({ role: 'assistant', content: ' \n' })).toBe(true);
  expect(isSilent({ role: 'assistant', content: '', name: 'n', tool_calls: [] })).toBe(true);
  expect(isSilent({ role: 'assistant', content: null, tool_calls: [call] })).toBe(false);
  expect(isSilent({ role: 'assistant', content: '', reasoning_content: 'r' })).toBe(false);
  expect(isSilent({ role: 'assistant', content: [{ type: 'text', text: 'a' }] })).toBe(false);
  expect(
    textOf({
      role: 'user',
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    }),
  ).toBe('ab');
});
