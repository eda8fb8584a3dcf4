import { cpSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { dataFolder } from '../../../../tests/support/repository.js';
import { loadTokenizer } from '../text/index.js';
import { modelStopTokens } from './stop-tokens.js';
import { streamText } from './stream-text.js';
import { TextGenerator } from './text-generator.js';

const tiny = fileURLToPath(new URL('../../../../tests/fixtures/models/llama-tiny', import.meta.url));
const stories = join(dataFolder ?? 'no-data', 'models/stories260K');
const options = { maxNewTokens: 40, temperature: 1, seed: 2 };

test('completions come with their tokens and log-probabilities, as they are done and in the order of prompts', async () => {
  using generator = await TextGenerator.load(tiny);
  const heard: string[] = [];
  const texts = await generator.complete(['Hello', 'The'], {
    ...options,
    samples: 2,
    onCompletion: ({ text, prompt, sample }) => void heard.push(`${prompt} ${sample} ${text}`),
  });
  expect(texts.map(({ prompt, sample }) => [prompt, sample]).join(' ')).toBe('0,0 0,1 1,0 1,1');
  expect(heard.sort()).toEqual(texts.map(({ text, prompt, sample }) => `${prompt} ${sample} ${text}`));
  for (const { text, tokens, logprob, logprobs } of texts) {
    expect(text).toBe(generator.tokenizer.decode(tokens));
    expect(logprobs).toHaveLength(tokens.length);
    expect(logprob).toBeCloseTo(
      logprobs.reduce((a, b) => a + b, 0),
      10,
    );
  }
});

test('a chat is the template with its generation prompt, as a text is that is written so by hand', async () => {
  using generator = await TextGenerator.load(tiny, { chatTemplate: 'hh' });
  using plain = await TextGenerator.load(tiny);
  const chat = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Yes?' },
    { role: 'user', content: 'Why?' },
  ];
  const text = '\n\nHuman: Hi\n\nAssistant: Yes?</s>\n\nHuman: Why?\n\nAssistant:';
  expect([...generator.encode(chat)]).toEqual([...plain.encode(text)]);
  expect([...generator.encode('Hi')]).toEqual([...plain.encode('\n\nHuman: Hi\n\nAssistant:')]);
  expect([...plain.encode('')]).toEqual([1]);
  expect(() => plain.encode(chat)).toThrow(/no chat template/);
  expect(() => generator.encodeAll(['x', []])).toThrow(/prompt 1: the chat has no messages/);
});

test('a chat ends at the token that its template writes after an answer, whatever else ends a text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'model-'));
  cpSync(tiny, folder, { recursive: true });
  writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id": [0]}');
  using plain = await TextGenerator.load(folder);
  using chat = await TextGenerator.load(folder, { chatTemplate: 'zephyr' });
  const prompts = Array.from({ length: 64 }, (_, i) => `Number ${i}`);
  const texts = (await plain.complete(prompts, { ...options, batchSize: 64 })).map(({ text }) => text);
  expect(texts.filter((text) => text.includes('</s>')).length).toBeGreaterThan(0);
  const answers = await chat.complete(prompts, { ...options, batchSize: 64 });
  expect(answers.filter(({ text }) => text.includes('</s>'))).toEqual([]);
  expect(answers.filter(({ finish }) => finish === 'stop').length).toBeGreaterThan(0);
});

test('the tokens that end a text are those of an adapter where it says so, else those of its base', async () => {
  const [base, adapter] = [mkdtempSync(join(tmpdir(), 'base-')), mkdtempSync(join(tmpdir(), 'adapter-'))];
  writeFileSync(join(base, 'generation_config.json'), '{"eos_token_id": 5}');
  const tokenizer = await loadTokenizer(tiny);
  expect(await modelStopTokens({ base, adapter }, tokenizer)).toEqual([5]);
  writeFileSync(join(adapter, 'generation_config.json'), '{"eos_token_id": [6, 7]}');
  expect(await modelStopTokens({ base, adapter }, tokenizer)).toEqual([6, 7]);
  expect(await modelStopTokens(base, tokenizer)).toEqual([5]);
});

test('a broken generation_config.json is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'model-'));
  cpSync(tiny, folder, { recursive: true });
  writeFileSync(join(folder, 'generation_config.json'), '{');
  await expect(TextGenerator.load(folder)).rejects.toThrow(/generation_config\.json: not JSON/);
});

test.each([[[]], [['e ', 'th', 'a very long stop string that does not come']]])(
  'the pieces that are streamed are the text, with the stop strings %j',
  async (stopStrings) => {
    using generator = await TextGenerator.load(tiny);
    for (let seed = 0; seed < 3; seed++) {
      const pieces: string[] = [];
      const streamed = { ...options, maxNewTokens: 80, seed, stopStrings };
      const { text } = await streamText(generator, 'Once', streamed, (piece) => pieces.push(piece));
      const [whole] = await generator.complete(['Once'], streamed);
      expect(pieces.join('')).toBe(text);
      expect(text).toBe(whole!.text);
      expect(pieces.length).toBeGreaterThan(1);
    }
  },
);

test.skipIf(!existsSync(stories))(
  'a completion follows its prompt as it stands, a space between words too',
  async () => {
    using generator = await TextGenerator.load(stories);
    const greedy = { maxNewTokens: 12, temperature: 0 };
    const [text] = await generator.complete(['Once upon'], greedy);
    expect(text!.text).toMatch(/^ a time, there was/);
    const pieces: string[] = [];
    await streamText(generator, 'Once upon', greedy, (piece) => pieces.push(piece));
    expect(pieces.join('')).toBe(text!.text);
  },
);
