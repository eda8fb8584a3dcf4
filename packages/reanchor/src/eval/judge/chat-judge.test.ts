import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { processorMs } from '../../../../../tests/support/processor-time.js';
import { dataFolder } from '../../../../../tests/support/repository.js';
import { styleOf } from '../arena/style.js';
import { readRatings } from '../ratings/rater.js';
import { ChatClient } from './chat-client.js';
import { chatJudge, readArenaReply, readLetter, readLetterProbabilities, readWinner } from './chat-judge.js';
import { readChatBody } from './chat-reply.js';
import { judgeBothOrders, type PairJudge } from './judge.js';
import { fillTemplate, readTemplate, templateHash } from './template.js';
import { alpacaTemplate, arenaTemplates, pairTemplates, ratingTemplate } from './templates.js';
import { type Behaviour, testServer, tokenLogprobs } from './testing/server.js';

const folder = mkdtempSync(join(tmpdir(), 'judge-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

describe('Winner: A | B | C', () => {
  test.each<[string, number]>([
    ['Comparison: A is right.\nWinner: A', 1],
    ['Comparison: B is right.\nWinner: B\n', 0],
    ['Winner: C', 0.5],
    ['**Winner:** B', 0],
    ['- **Winner: A**', 1],
    ['### winner : [[B]]', 0],
    ['Winner: <A>'.replace(/[<>]/g, '"'), 1],
    ['Winner: tie.', 0.5],
    ['Winner: A\n\nWinner: A', 1],
    ['<think>Winner: A</think>\nWinner: B', 0],
  ])('%j', (text, first) => {
    expect(readWinner({ text })).toMatchObject({ value: { first } });
  });

  test.each([
    ['', 'no winner'],
    ['A is better', 'no winner'],
    ['The winner: A or B', 'no winner'],
    ['Winner: A or B', 'no winner'],
    ['Winner: <A|B|C>', 'no winner'],
    ['Winner: D', 'no winner'],
    ['Winner: A\nWinner: B', 'contradictory winners'],
  ])('no verdict is guessed from %j', (text, unparsed) => {
    expect(readWinner({ text })).toEqual({ unparsed });
  });
});

describe('the letters of AlpacaEval', () => {
  const reply = (top: Record<string, number>) => ({
    text: '',
    tokens: [{ token: '', logprob: 0, top: Object.entries(top).map(([token, logprob]) => ({ token, logprob })) }],
  });

  test('share their probability; a letter that is not among the most probable has none', () => {
    const { value } = readLetterProbabilities(reply({ m: Math.log(0.3), M: Math.log(0.1), x: -1 })) as {
      value: { first: number };
    };
    expect(value.first).toBeCloseTo(0.75, 12);
    expect(readLetterProbabilities(reply({ M: -0.1, x: -3 }))).toEqual({ value: { first: 0, label: 'M' } });
    expect(readLetterProbabilities(reply({ The: -0.1 }))).toMatchObject({
      unparsed: expect.stringContaining('neither'),
    });
    expect(() => readLetterProbabilities({ text: 'm' })).toThrow(/no log-probabilities.* or isDiscrete to take/);
    expect(readLetter({ text: ' M\n' })).toMatchObject({ value: { first: 0 } });
    expect(readLetter({ text: 'm is better' })).toHaveProperty('unparsed');
  });

  test.skipIf(!dataFolder)('give the preferences of 2,400 real judgements', () => {
    let compared = 0;
    for (const name of ['oasst-sft-pythia-12b', 'vicuna-7b-v1.5', 'vicuna-7b']) {
      const file = join(dataFolder!, `eval/alpaca_eval/annotations-${name}.json.gz`);
      const rows = JSON.parse(gunzipSync(readFileSync(file)).toString()) as {
        preference: number;
        raw_completion: { logprobs: { content: { top_logprobs: { token: string; logprob: number }[] }[] } } | null;
      }[];
      for (const { preference, raw_completion } of rows) {
        if (!raw_completion) continue;
        const top = raw_completion.logprobs.content[0]!.top_logprobs;
        const tokens = [{ token: '', logprob: 0, top }];
        const { value } = readLetterProbabilities({ text: '', tokens }) as { value: { first: number } };
        // Which answer went by m was drawn for each row and is not recorded.
        const distance = Math.min(Math.abs(2 - value.first - preference), Math.abs(1 + value.first - preference));
        expect(distance).toBeLessThan(1e-9);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(2400);
  });
});

test('a label of Arena-Hard has the share of a win, whatever its strength', () => {
  expect(readArenaReply('last')({ text: '[[B>>A]]' })).toEqual({ value: { first: 0, label: 'B>>A' } });
  expect(readArenaReply('only')({ text: '[[A>B]] [[B>A]]' })).toEqual({ unparsed: 'contradictory labels' });
});

describe('templates', () => {
  test('have places for everything, and nothing is put in twice', () => {
    const all = [...Object.values(pairTemplates), alpacaTemplate, ...Object.values(arenaTemplates)];
    const values = { prompt: 'P {answer_b} $& {x}', answer_a: 'ANSWER-1 {prompt}', answer_b: 'ANSWER-2' };
    for (const template of all) {
      const text = fillTemplate(template, values)
        .map(({ content }) => content)
        .join('\n');
      for (const value of Object.values(values)) expect(text.split(value)).toHaveLength(2);
    }
    const rating = fillTemplate(ratingTemplate, { prompt: 'P', answer_a: 'ANSWER-1' }).at(-1)!.content;
    expect(rating).toContain('ANSWER-1');
    expect(new Set(all.map(templateHash)).size).toBe(all.length);
  });

  test('whatever a text holds, it stands in the message as it is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('{', '}', '$', '&', 'prompt', 'answer_b', '\n', '\\') }),
        (text) => {
          const template = {
            name: 't',
            messages: [{ role: 'user' as const, content: '[{prompt}|{answer_a}|{answer_b}]' }],
          };
          const [message] = fillTemplate(template, { prompt: text, answer_a: text, answer_b: text });
          expect(message!.content).toBe(`[${text}|${text}|${text}]`);
        },
      ),
    );
  });

  test('are read from files, as plain text or in the sections of AlpacaEval', async () => {
    const plain = await readTemplate(write('plain.txt', 'Q: {QUESTION}\nA: {ANSWER_A}\nB: {ANSWER_B}\n'), 2);
    expect(plain).toEqual({
      name: 'plain.txt',
      messages: [{ role: 'user', content: 'Q: {QUESTION}\nA: {ANSWER_A}\nB: {ANSWER_B}' }],
    });
    const sections =
      '<|im_start|>system\nBe fair.\n<|im_end|>\n<|im_start|>user\n{ "a": """{instruction}""" } {output_1}{output_2}<|im_end|>';
    const chat = await readTemplate(write('chat.txt', sections), 2);
    expect(fillTemplate(chat, { prompt: 'p', answer_a: '1', answer_b: '2' })).toEqual([
      { role: 'system', content: 'Be fair.' },
      { role: 'user', content: '{ "a": """p""" } 12' },
    ]);
    await expect(readTemplate(write('x.txt', '{prompt} {answer_a} {reference}'), 2)).rejects.toThrow(
      /x\.txt: the place \{reference\} is unknown; \{prompt\}, \{answer_a\} and \{answer_b\} are allowed/,
    );
    await expect(readTemplate(write('x.txt', '{prompt} {answer_a}'), 2)).rejects.toThrow(
      /\{answer_b\} is the difference/,
    );
    await expect(readTemplate(write('x.txt', '{prompt} {answer_a} {answer_b}'), 1)).rejects.toThrow(/the difference/);
  });

  test.skipIf(!dataFolder)("AlpacaEval's own template is read", async () => {
    const { messages } = await readTemplate(join(dataFolder!, 'eval/alpaca_eval/template-alpaca-eval-clf.txt'), 2);
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user']);
  });
});

describe('both orders', () => {
  const judge = (say: (first: string, second: string) => number | undefined): PairJudge => ({
    name: 'j',
    settings: {},
    judge: async ({ first, second }) => ({ first: say(first, second) }),
  });
  const outcome = async (say: Parameters<typeof judge>[0]) => {
    const { outcome, agree } = await judgeBothOrders(judge(say), { prompt: 'p', answer: 'good', other: 'bad' });
    return [outcome, agree];
  };

  test('agree on a winner, or it is a tie', async () => {
    expect(await outcome((first) => (first === 'good' ? 1 : 0))).toEqual(['win', true]);
    expect(await outcome((first) => (first === 'good' ? 0.2 : 0.9))).toEqual(['loss', true]);
    expect(await outcome(() => 0.5)).toEqual(['tie', true]);
    expect(await outcome(() => 1)).toEqual(['tie', false]);
    expect(await outcome((first) => (first === 'good' ? 1 : 0.5))).toEqual(['tie', false]);
    expect(await outcome((first) => (first === 'good' ? 1 : undefined))).toEqual([undefined, undefined]);
  });

  test('swapping the answers turns the outcome about', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(0, 0.5, 1), fc.constantFrom(0, 0.5, 1), async (there, back) => {
        const say = (first: string) => (first === 'x' ? there : back);
        const of = async (answer: string, other: string) =>
          (await judgeBothOrders(judge(say), { prompt: 'p', answer, other })).outcome;
        const turned = { win: 'loss', loss: 'win', tie: 'tie' } as const;
        expect(await of('y', 'x')).toBe(turned[(await of('x', 'y'))!]);
      }),
    );
  });
});

test('a judge behind an endpoint says what it says, keeps the text, and names its settings', async () => {
  const behaviours: Record<string, Behaviour> = {
    good: { text: 'Comparison: yes.\nWinner: A' },
    vague: { text: 'Both are fine.' },
    letters: { text: 'm', logprobs: tokenLogprobs({ m: -0.1, M: -3 }) },
  };
  await using server = await testServer(({ prompt }) => behaviours[/<request>\n(\w+)/.exec(prompt)?.[1] ?? 'letters']!);
  await using client = await ChatClient.open({ baseUrl: server.url, model: 'j', cacheFile: join(folder, 'c.jsonl') });
  const judge = chatJudge({
    client,
    templateOf: () => pairTemplates.helpful,
    templates: [pairTemplates.helpful],
    read: readWinner,
    maxNewTokens: 100,
  });
  const pair = (prompt: string) => ({ prompt, first: 'x', second: 'y' });
  expect(await judge.judge(pair('good'))).toEqual({ first: 1, label: 'A', text: 'Comparison: yes.\nWinner: A' });
  expect(await judge.judge(pair('vague'))).toEqual({ first: undefined, unparsed: 'no winner', text: 'Both are fine.' });
  expect(server.requests).toHaveLength(3);
  expect(judge.settings).toEqual({
    model: 'j',
    server: new URL(server.url).origin,
    templates: { helpful: templateHash(pairTemplates.helpful) },
    temperature: 0,
    maxNewTokens: 100,
  });
  const letters = chatJudge({
    client,
    templateOf: () => alpacaTemplate,
    templates: [alpacaTemplate],
    read: readLetterProbabilities,
    maxNewTokens: 1,
    topLogprobs: 20,
  });
  const { first } = await letters.judge(pair('letters'));
  expect(first).toBeCloseTo(1 / (1 + Math.exp(-2.9)), 12);
  expect(server.requests.at(-1)!.body).toMatchObject({ logprobs: true, top_logprobs: 20, max_tokens: 1 });
});

test('replies of marks and empty lines without end are read at once, whatever reads them', () => {
  const begin = processorMs();
  for (const unit of ['\n', '\r', '*', '_', ',', ' ', '[[', 'Winner: ', 'coherence', '{"', '`', '1. ', '-']) {
    for (const text of [unit.repeat(100_000), `a${unit.repeat(100_000)}b`, `coherence: 7${unit.repeat(100_000)}x`]) {
      readWinner({ text });
      readLetter({ text });
      readRatings({ text });
      readArenaReply('last')({ text });
      styleOf(text);
    }
  }
  expect(processorMs() - begin).toBeLessThan(5000);
});

test('what is read of any body, and of any text, is a verdict or a reason', () => {
  const reply = (content: unknown) => ({
    choices: [{ message: { role: 'assistant', content }, logprobs: { content } }],
  });
  const text = fc.string({
    unit: fc.constantFrom('winner', ':', 'A', '[[', ']]', '>', '\n', ' ', '*', 'coherence', '7', ',', '</think>'),
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        text.map((one) => JSON.stringify(reply(one))),
        fc.jsonValue().map((one) => JSON.stringify(reply(one))),
      ),
      (body) => {
        const { reply: read } = readChatBody(body);
        if (!('text' in read)) {
          expect(read.malformed).toMatch(/body|message/);
          return;
        }
        for (const reader of [readWinner, readLetter, readArenaReply('last'), readArenaReply('only'), readRatings]) {
          const outcome: object = reader(read);
          expect('value' in outcome || 'unparsed' in outcome).toBe(true);
        }
      },
    ),
  );
});
