import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readAnswers } from './answers.js';

const folder = mkdtempSync(join(tmpdir(), 'answers-'));
afterAll(() => rmSync(folder, { recursive: true }));
const read = (...rows: unknown[]) => {
  const file = join(folder, 'answers.jsonl');
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return readAnswers(file);
};

describe('a row of answers', () => {
  const chat = [{ role: 'user', content: 'Hi' }];

  test('is what generate writes, to texts and to chats', async () => {
    const line = { index: 0, sample: 0, completion: 'Yes', tokens: 1, logprob: -1 };
    const [text, ended, cut] = await read(
      { ...line, prompt: 'Hi', finish: 'length', ids: [7] },
      { ...line, prompt: chat, finish: 'stop', stopToken: 0 },
      { ...line, prompt: chat, finish: 'stop', stopString: '\n' },
    );
    expect(text).toMatchObject({ prompt: 'Hi', text: 'Yes', finish: 'length', tokens: 1, ids: [7], line: 1 });
    expect(ended).toMatchObject({ prompt: chat, finish: 'stop', stopToken: 0, line: 2 });
    expect(cut).toMatchObject({ finish: 'stop', stopString: '\n', line: 3 });
    expect([text!.stopToken, ended!.stopString, cut!.stopToken]).toEqual([undefined, undefined, undefined]);
  });

  test('or what AlpacaEval and others write; an instruction goes with its input', async () => {
    const rows = await read(
      { instruction: 'Say', output: 'so', generator: 'm', dataset: 'x' },
      { instruction: 'Add', input: '1 2', output: '3' },
      { prompt: 'p', response: 'r', model: 'n', finish: 'eos' },
      { prompt: null, instruction: 'i', input: '', answer: '' },
    );
    expect(rows.map(({ prompt, text, model }) => [prompt, text, model])).toEqual([
      ['Say', 'so', 'm'],
      ['Add\n\n1 2', '3', undefined],
      ['p', 'r', 'n'],
      ['i', '', undefined],
    ]);
    expect(rows[2]!.finish).toBeUndefined();
  });

  test.each([
    [{ completion: 'x' }, /:1: no text prompt or instruction: a row of answers is/],
    [{ prompt: 'x' }, /:1: no text completion or output/],
    [{ prompt: 3, completion: 'x' }, /"prompt" is a number, not text/],
    [{ prompt: [], completion: 'x' }, /"prompt" is a chat without messages/],
    [{ prompt: [{ role: 1, content: 'x' }], completion: 'x' }, /"prompt\[0\].role" is a number, not text/],
    [{ prompt: 'x', completion: ['x'] }, /"completion" is a list, not text/],
    ['x', /not an object/],
  ])('is refused where it is another: %j', async (row, message) => {
    await expect(read(row)).rejects.toThrow(message);
  });

  test('has to be there', async () => {
    await expect(read()).rejects.toThrow(/no rows; a row of answers is/);
  });
});
