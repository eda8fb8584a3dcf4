import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { narrowModel } from '../../../../../tests/support/narrow-model.js';
import { commandLine } from '../../cli/main.js';
import { Terminal } from '../../cli/terminal.js';
import { initModel } from '../../models/init.js';
import { loadModel } from '../../models/load.js';
import { type LogRatio, logRatios } from '../../models/log-ratios.js';
import { saveModel } from '../../models/save.js';
import { sigmoid } from '../../stats/index.js';
import { loadTokenizer } from '../../text/tokenizer.js';
import { judgeBothOrders } from '../judge/judge.js';
import { score } from '../score.js';
import { RewardJudge } from './reward-judge.js';

const tiny = fileURLToPath(new URL('../../../../../tests/fixtures/models/llama-tiny', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'reward-'));
const other = join(folder, 'other');
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  cpSync(tiny, other, { recursive: true });
  using model = initModel(JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')), { seed: 3, dtype: 'float32' });
  await saveModel(model, other);
});

const pairs = [
  { prompt: 'How are you?', chosen: ' Well.', rejected: ' I do not know what you mean.' },
  { prompt: 'A colour', chosen: ' is blue', rejected: ' is red' },
  { prompt: 'Say nothing', chosen: '', rejected: ' nothing' },
];

/** Runs `eval winrate`; gives what it wrote to stdout. */
async function winrate(...args: string[]) {
  let result = '';
  const quiet = { write: () => true };
  const terminal = new Terminal({ stdout: { write: (text) => (result += text) }, stderr: quiet, env: {} });
  await commandLine(terminal).parseAsync(['node', 'reanchor', 'eval', 'winrate', ...args]);
  return result;
}

test('the share of an answer is the sigmoid of the margin that reanchor score gives the pair, in either order', async () => {
  const data = join(folder, 'pairs.jsonl');
  const scored = pairs.filter(({ chosen }) => chosen !== '');
  writeFileSync(data, scored.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const out = join(folder, 'scores.jsonl');
  await score({ model: other, reference: tiny, beta: 0.2, data: [data], out });
  const margins = readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).reward.margin as number);
  using judge = await RewardJudge.load({ model: other, reference: tiny, beta: 0.2 });
  for (const [i, { prompt, chosen, rejected }] of scored.entries()) {
    const { verdicts, outcome } = await judgeBothOrders(judge, { prompt, answer: chosen, other: rejected });
    expect(verdicts[0].first).toBeCloseTo(sigmoid(margins[i]!), 6);
    expect(verdicts[1].first).toBeCloseTo(sigmoid(-margins[i]!), 6);
    expect(outcome).toBe(margins[i]! > 0 ? 'win' : 'loss');
  }
  const empty = await judge.judge({ prompt: 'Say nothing', first: '', second: ' nothing' });
  expect(empty.first).toBeGreaterThan(0);
});

test('answers to chats have the rewards that reanchor score gives them, and cut ones have no end', async () => {
  const folders = [tiny, other].map((path, i) => {
    const chat = join(folder, `chat-${i}`);
    cpSync(path, chat, { recursive: true });
    const template =
      "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";
    writeFileSync(join(chat, 'chat_template.jinja'), template);
    return chat;
  });
  const [reference, model] = folders as [string, string];
  const prompt = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Yes?' },
    { role: 'user', content: 'Why?' },
  ];
  const [first, second] = ['Because it is.', 'No.'];
  const data = join(folder, 'chats.jsonl');
  const answer = (content: string) => [{ role: 'assistant', content }];
  writeFileSync(data, JSON.stringify({ prompt, chosen: answer(first), rejected: answer(second) }));
  const out = join(folder, 'chat-scores.jsonl');
  await score({ model, reference, beta: 0.1, data: [data], out });
  const { reward } = JSON.parse(readFileSync(out, 'utf8')) as { reward: { chosen: number; rejected: number } };
  using judge = await RewardJudge.load({ model, reference });
  expect(await judge.reward(prompt, first)).toBeCloseTo(reward.chosen, 6);
  expect((await judge.judge({ prompt, first, second })).first).toBeCloseTo(sigmoid(reward.chosen - reward.rejected), 6);

  // The tokens alone, without EOS and the line feed that the template writes after it.
  const tokenizer = await loadTokenizer(model);
  const start = 'user: Hi</s>\nassistant: Yes?</s>\nuser: Why?</s>\nassistant:';
  const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const written = Int32Array.from(ids(`${start} ${first}`).slice(ids(start).length));
  using ours = await loadModel(model, { dtype: 'float32' });
  using theirs = await loadModel(reference, { dtype: 'float32' });
  const group = { prompt: Int32Array.from(ids(start)), completions: [written] };
  const [[ratio]] = (await logRatios(ours, theirs, [group], { tokensPerMicroBatch: 4096 })) as [[LogRatio]];
  expect(await judge.reward(prompt, first, true)).toBeCloseTo(0.1 * ratio.logRatio, 6);
  const verdict = await judge.judge({ prompt, first, second, isCut: [true, false] });
  expect(verdict.first).toBeCloseTo(sigmoid(0.1 * ratio.logRatio - reward.rejected), 6);
});

test('answers that are longer than the models were made for are told of once', async () => {
  const narrow = narrowModel(join(folder, 'narrow'), 10);
  const notes: string[] = [];
  using judge = await RewardJudge.load({ model: tiny, reference: narrow, onNote: (note) => notes.push(note) });
  await judge.judge({ prompt: 'A', first: 'b', second: 'c' });
  expect(notes).toEqual([]);
  for (const answer of ['is blue, and so is the sea', 'is red, and so is the evening sky'])
    await judge.judge({ prompt: 'A colour', first: answer, second: 'c' });
  expect(notes).toEqual([expect.stringMatching(/the longest row has \d+ tokens and the model was made for 10/)]);
});

test('equal rewards are ties: a model against itself prefers nothing', async () => {
  using judge = await RewardJudge.load({ model: tiny, reference: tiny });
  for (const { prompt, chosen, rejected } of pairs) {
    const judged = await judgeBothOrders(judge, { prompt, answer: chosen, other: rejected });
    expect(judged).toMatchObject({ outcome: 'tie', agree: true });
  }
});

test('eval winrate takes it as its judge, and refuses flags without effect', async () => {
  for (const name of ['chosen', 'rejected'] as const) {
    const rows = pairs.map((pair) => `${JSON.stringify({ prompt: pair.prompt, completion: pair[name] })}\n`);
    writeFileSync(join(folder, `${name}.jsonl`), rows.join(''));
  }
  const answers = ['--answers', join(folder, 'chosen.jsonl'), join(folder, 'rejected.jsonl')];
  const rewards = ['--judge-model', other, '--judge-reference', tiny];
  const json = join(folder, 'winrate.json');
  const printed = await winrate(...answers, ...rewards, '--beta', '0.5', '--resamples', '100', '--json', json);
  expect(printed).toContain('chosen');
  const document = JSON.parse(readFileSync(json, 'utf8'));
  expect(document.settings).toMatchObject({ judge: 'implicit reward', model: other, reference: tiny, beta: 0.5 });
  expect(document.pairs[0]).toMatchObject({ n: 3, unparsed: 0, disagreements: 0 });
  const url = ['--judge-url', 'http://127.0.0.1:1'];
  await expect(winrate(...answers, ...rewards, ...url)).rejects.toThrow(/--judge-url has no effect/);
  await expect(winrate(...answers, ...rewards, '--temperature', '0')).rejects.toThrow(/--temperature has no effect/);
  await expect(winrate(...answers, '--beta', '1')).rejects.toThrow(/--beta has no effect without --judge-reference/);
  await expect(winrate(...answers, '--judge-reference', tiny)).rejects.toThrow(/needs --judge-model/);
});
