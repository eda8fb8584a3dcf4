import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narrowModel } from '../../../../../tests/support/narrow-model.js';
import { generateFile } from '../../generate/index.js';
import { initModel } from '../../models/init.js';
import { loadModel } from '../../models/load.js';
import { logRatios } from '../../models/log-ratios.js';
import { saveModel } from '../../models/save.js';
import { loadTokenizer } from '../../text/tokenizer.js';
import { measureKl } from './measure.js';

const folder = mkdtempSync(join(tmpdir(), 'kl-given-'));
afterAll(() => rmSync(folder, { recursive: true }));
const tiny = fileURLToPath(new URL('../../../../../tests/fixtures/models/llama-tiny', import.meta.url));

describe('answers of a file count what the model drew', () => {
  const two = join(folder, 'two-ends');
  const other = join(folder, 'other');
  const jsonl = (name: string, rows: object[]) => {
    writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return join(folder, name);
  };
  beforeAll(async () => {
    cpSync(tiny, two, { recursive: true });
    writeFileSync(join(two, 'generation_config.json'), '{"eos_token_id": [2, 0, 260, 270]}');
    cpSync(two, other, { recursive: true });
    const config = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8'));
    using model = initModel({ ...config, initializer_range: 0.5 }, { seed: 3, dtype: 'float32' });
    await saveModel(model, other);
  });
  const measure = (rows: object[], chatTemplate?: string) =>
    measureKl({ model: two, reference: other, of: { answers: jsonl('answers.jsonl', rows) }, chatTemplate });

  /** The log-ratio of a completion of a text, as token ids. */
  async function ratioOf(text: string, ids: readonly number[]) {
    using ours = await loadModel(two, { dtype: 'float32' });
    using theirs = await loadModel(other, { dtype: 'float32' });
    const tokenizer = await loadTokenizer(two);
    const group = { prompt: Int32Array.from(tokenizer.encode(text)), completions: [Int32Array.from(ids)] };
    const [ratios] = await logRatios(ours, theirs, [group], { tokensPerMicroBatch: 4096 });
    return ratios![0]!.logRatio;
  }
  const text = { prompt: 'A colour', completion: ' is blue' };
  const plain = async (whole: string) => (await loadTokenizer(two)).encode(whole, { addSpecialTokens: false });

  test.each<[object, number[]]>([
    [{ finish: 'stop', stopToken: 2 }, [2]],
    [{ finish: 'stop', stopToken: 0 }, [0]],
    [{ finish: 'stop', stopToken: 270 }, [270]],
    [{ finish: 'stop', stopString: ' and' }, []],
    [{ finish: 'length' }, []],
    // Files of others do not say what ended an answer: it is the model's own end then.
    [{ finish: 'stop' }, [2]],
    [{}, [2]],
  ])('%j: the tokens after the text are %j', async (end, ids) => {
    const { logRatio, ended, answers, tokens } = await measure([{ ...text, ...end }]);
    const written = (await plain('A colour is blue')).slice((await plain('A colour')).length);
    expect({ answers, tokens, ended }).toEqual({ answers: 1, tokens: written.length + ids.length, ended: ids.length });
    expect(logRatio.sequence.estimate).toBeCloseTo(await ratioOf('A colour', [...written, ...ids]), 5);
  });

  test('an end that the text spells out is not put there twice; nothing and white space are answers', async () => {
    const ids = async (completion: string, end: object = {}) =>
      (await measure([{ prompt: 'A colour', completion, ...end }])).tokens;
    expect(await ids(' is blue</s>')).toBe(await ids(' is blue'));
    expect(await ids('')).toBe(1);
    expect(await ids('', { finish: 'length' })).toBe(0);
    expect(await ids(' \n', { finish: 'length' })).toBe((await plain(' \n')).length);
  });

  test('in a chat it is the template’s end of a turn, or the token that the row names', async () => {
    const chat = [{ role: 'user', content: 'Hi' }];
    const start = '<|user|>\nHi</s>\n<|assistant|>\n';
    const written = (await plain(`${start}Yes.`)).slice((await plain(start)).length);
    const ratio = async (...ids: number[]) => ratioOf(start, [...written, ...ids]);
    const row = { prompt: chat, completion: 'Yes.' };
    for (const [end, ids] of [
      [{}, [2]],
      [{ stopToken: 260 }, [260]],
      [{ finish: 'length' }, []],
    ] as const) {
      const { logRatio } = await measure([{ ...row, ...end }], 'zephyr');
      expect(logRatio.sequence.estimate).toBeCloseTo(await ratio(...ids), 5);
    }
    // A text is a message of the user there, and a space that decoders take off stands in front of an answer again.
    const hh = await measure([{ prompt: 'Hi', completion: 'Yes.', finish: 'length' }], 'hh');
    const before = '\n\nHuman: Hi\n\nAssistant:';
    const spaced = (await plain(`${before} Yes.`)).slice((await plain(before)).length);
    expect(hh.logRatio.sequence.estimate).toBeCloseTo(await ratioOf(before, spaced), 5);
  });

  test.each([undefined, 'hh'])(
    'what generate has written is measured as it was drawn, whatever ended it: template %s',
    async (chatTemplate) => {
      const texts = Array.from({ length: 100 }, (_, i) => `Number ${i}`);
      const prompts = jsonl(
        'prompts.jsonl',
        texts.map((prompt) => ({ prompt })),
      );
      const sampling = { prompts, maxNewTokens: 6, temperature: 1, seed: 1 };
      const direct = await measureKl({ model: two, reference: other, of: sampling, chatTemplate });
      const out = join(folder, 'written.jsonl');
      await generateFile({ model: two, out, ...sampling, chatTemplate });
      const given = await measureKl({ model: two, reference: other, of: { answers: out }, chatTemplate });
      expect(given).toEqual({ ...direct, measure: 'given' });
      expect(given.ended).toBeGreaterThan(0);
      expect(given.ended).toBeLessThan(100);

      // Cut by strings, they are shorter and have no end.
      await generateFile({ model: two, out, ...sampling, chatTemplate, stopStrings: ['e', 'a', ' '] });
      const lines = readFileSync(out, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { tokens: number; stopToken?: number });
      const cut = await measureKl({ model: two, reference: other, of: { answers: out }, chatTemplate });
      const ended = lines.filter(({ stopToken }) => stopToken !== undefined).length;
      expect(cut).toMatchObject({ ended, tokens: lines.reduce((sum, { tokens }) => sum + tokens, 0) + ended });
      expect(cut.tokens).toBeLessThan(given.tokens);
    },
  );

  test('tokens that are not the text’s are left alone: it was changed, or another tokenizer wrote it', async () => {
    const end = { finish: 'length' };
    const again = await measure([{ ...text, ...end }]);
    expect(await measure([{ ...text, ...end, ids: [300, 301] }])).toEqual(again);
    expect(await measure([{ ...text, ...end, ids: [100_000] }])).toEqual(again);
    expect(await measure([{ ...text, ...end, ids: 'none' }])).toEqual(again);
  });
});

test('answers and prompts beyond the positions of either model are told of once, with both numbers', async () => {
  const narrow = narrowModel(join(folder, 'narrow'), 12);
  const file = join(folder, 'long.jsonl');
  const row = { prompt: 'A colour', completion: ' is blue, and so is the sky above the sea' };
  writeFileSync(file, `${JSON.stringify(row)}\n`);
  const notes = async (model: string, reference: string, of: Parameters<typeof measureKl>[0]['of']) => {
    const heard: string[] = [];
    await measureKl({ model, reference, of, onNote: (note) => heard.push(note) });
    return heard;
  };
  const tooLong = [expect.stringMatching(/the longest row has \d\d tokens and the model was made for 12 \(max_pos/)];
  expect(await notes(tiny, narrow, { answers: file })).toEqual(tooLong);
  expect(await notes(narrow, narrow, { answers: file })).toEqual(tooLong);
  expect(await notes(tiny, tiny, { answers: file })).toEqual([]);
  const sampling = { prompts: file, maxNewTokens: 8 };
  expect(await notes(tiny, narrow, sampling)).toEqual([
    expect.stringMatching(/the longest prompt has \d tokens, up to 1\d .* made for 12 \(max_position_embeddings\)/),
  ]);
  expect(await notes(tiny, tiny, sampling)).toEqual([]);
});
