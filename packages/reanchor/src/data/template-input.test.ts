import { describe, expect, test } from 'vitest';
import { FormatError } from '../errors.js';
import { Float } from '../formats/exact-json.js';
import type { RawRecord } from '../formats/index.js';
import { loadPrompts } from './prompts.js';
import { loadRows } from './rows.js';
import { promptColumns } from './template-input.js';

async function* records(value: unknown): AsyncGenerator<RawRecord> {
  yield { file: 'rows.jsonl', line: 1, where: 1, value };
}
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const pair = { prompt: [user('q')], chosen: [assistant('a')], rejected: [assistant('b')] };
const tool = { type: 'function', function: { name: 'f' } };
const read = async (columns: object) => (await loadRows('pairs', records({ ...pair, ...columns })))[0]!;

describe('what a row gives its chat template', () => {
  test.each<[string, object, object | undefined]>([
    ['tools as a list', { tools: [tool] }, { tools: [tool] }],
    ['tools as JSON text', { tools: JSON.stringify([tool]) }, { tools: [tool] }],
    [
      'numbers of JSON text as Python has them',
      { tools: '[{"x": {"max": 2.0}}]' },
      { tools: [{ x: { max: new Float(2) } }] },
    ],
    ['an empty list of tools, which a template may tell from none', { tools: [] }, { tools: [] }],
    ['nothing', { tools: null, documents: null, chat_template_kwargs: null, system: null }, undefined],
    ['empty text', { tools: '', system: '' }, undefined],
    ['documents', { documents: [{ title: 't', text: 'd' }] }, { documents: [{ title: 't', text: 'd' }] }],
    ['variables as JSON text', { chat_template_kwargs: '{"think": false}' }, { variables: { think: false } }],
    ['variables', { chat_template_kwargs: { think: false } }, { variables: { think: false } }],
    [
      'tools and documents among the variables, which come first',
      { tools: [{ a: 1 }], chat_template_kwargs: { tools: [tool], documents: [{ text: 'd' }], x: 1 } },
      { tools: [tool], documents: [{ text: 'd' }], variables: { x: 1 } },
    ],
    [
      'tools among the variables as JSON text',
      { chat_template_kwargs: { tools: JSON.stringify([tool]), documents: '' } },
      { tools: [tool] },
    ],
    ['numbers of the variables', { chat_template_kwargs: '{"top": 1.0}' }, { variables: { top: new Float(1) } }],
    ['blank variables', { chat_template_kwargs: ' ' }, undefined],
  ])('%s', async (_name, columns, input) => {
    expect((await read(columns)).input).toEqual(input);
  });

  test('a system column is the first message of a chat without one', async () => {
    expect((await read({ system: 's' })).prompt).toEqual([{ role: 'system', content: 's' }, user('q')]);
    const own = [{ role: 'system', content: 'own' }, user('q')];
    expect((await read({ prompt: own, system: 's' })).prompt).toEqual(own);
  });

  test.each<[string, object, RegExp]>([
    [
      'tools that are no JSON',
      { tools: 'get_temp(city)' },
      /"tools" is no list of objects, nor such a list as JSON text/,
    ],
    ['a tool that is text', { tools: ['get_temp'] }, /"tools" is no list of objects/],
    ['documents that are one object', { documents: { text: 'd' } }, /"documents" is no list of objects/],
    [
      'documents among the variables that are one object',
      { chat_template_kwargs: { documents: { text: 'd' } } },
      /"documents" is no list of objects/,
    ],
    [
      'variables that are a list',
      { chat_template_kwargs: [1] },
      /"chat_template_kwargs" is no object, nor one as JSON text/,
    ],
    [
      'what is not for a row to say',
      { chat_template_kwargs: { add_generation_prompt: false } },
      /"chat_template_kwargs" has add_generation_prompt, which is not for a row to say/,
    ],
  ])('%s is an error', async (_name, columns, message) => {
    const error = await read(columns).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
  });
});

test('the columns of a prompt are read again as the same prompt', async () => {
  const row = {
    prompt: 'p',
    system: 's',
    tools: [tool],
    documents: [{ text: 'd' }],
    chat_template_kwargs: { think: true },
  };
  const [first] = await loadPrompts(records(row), { name: 'f' });
  expect(promptColumns(first!)).toEqual(row);
  expect(await loadPrompts(records(promptColumns(first!)), { name: 'f' })).toEqual([first]);
});
