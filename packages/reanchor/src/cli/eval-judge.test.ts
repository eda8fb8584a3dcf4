// The verbs that ask a judge, against a real server on the loopback interface.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { type AskedRequest, type Behaviour, testServer, tokenLogprobs } from '../eval/judge/testing/server.js';
import { ResultFiles } from '../serve/result-files.js';
import { ServedFolder } from '../serve/served-folder.js';
import { resultDocument } from './eval-winrate.js';
import { commandLine } from './main.js';
import { Terminal } from './terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'eval-judge-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());
const at = (name: string) => join(folder, name);
const write = (name: string, rows: readonly unknown[]) => {
  writeFileSync(at(name), rows.map((row) => JSON.stringify(row)).join('\n'));
  return at(name);
};
const json = (name: string) => JSON.parse(readFileSync(at(name), 'utf8'));
const secret = 'sk-0123456789-the-secret-key';

async function run(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  const error = await commandLine(terminal)
    .parseAsync(['node', 'reanchor', 'eval', ...args])
    .then(
      () => undefined,
      (one: unknown) => one as Error,
    );
  return { ...written, error };
}

/** The two answers in a request of ours. */
const answersIn = ({ prompt }: AskedRequest) =>
  [...prompt.matchAll(/<answer[^>]*>\n(.*?)\n<\/answer/gs)].map(([, text]) => text!);
/** Prefers the longer answer, whichever place it has. */
const longerWins = (request: AskedRequest): Behaviour => {
  const [a, b] = answersIn(request) as [string, string];
  const letter = a.length === b.length ? 'C' : a.length > b.length ? 'A' : 'B';
  return { text: `Comparison: by length.\nWinner: ${letter}`, tokens: 10 };
};

const prompts = Array.from({ length: 12 }, (_, i) => `prompt ${i}`);
const longer = write(
  'longer.jsonl',
  prompts.map((prompt, i) => ({ prompt, completion: 'word '.repeat(i + 3) })),
);
const shorter = write(
  'shorter.jsonl',
  prompts.map((prompt, i) => ({ prompt, completion: 'x '.repeat(i + 1) })),
);

describe('winrate', () => {
  test('stopped by its budget and run again, asks for each verdict once; the key is nowhere', async () => {
    vi.stubEnv('REANCHOR_JUDGE_KEY', secret);
    await using server = await testServer(longerWins);
    const judge = ['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache.jsonl'), '--concurrency', '2'];
    const files = [
      '--answers',
      longer,
      shorter,
      '--out',
      at('verdicts.jsonl'),
      '--json',
      at('w.json'),
      '--html',
      at('w.html'),
    ];
    const stopped = await run('winrate', ...files, ...judge, '--budget-calls', '9');
    expect(stopped.error?.message).toMatch(/the budget of 9 calls is used up/);
    expect(stopped.stderr).toContain(`9 calls, about 90 tokens; answers are kept in ${at('cache.jsonl')}`);
    expect(readdirSync(folder)).not.toContain('verdicts.jsonl');
    expect(server.requests).toHaveLength(9);

    const { stdout, stderr, error } = await run('winrate', ...files, ...judge);
    expect(error).toBeUndefined();
    expect(stderr).toContain(`9 answers of judges are kept in ${at('cache.jsonl')}`);
    expect(server.requests).toHaveLength(24);
    expect(Math.max(...server.counts.values())).toBe(1);
    expect(server.requests.every(({ headers }) => headers.authorization === `Bearer ${secret}`)).toBe(true);

    const [head, line] = stdout.split('\n').map((one) => one.split(/ {2,}/));
    expect(head).toEqual([
      'model',
      'against',
      'rows',
      'prompts',
      'win rate',
      '95 % interval',
      'sign test',
      'wins',
      'ties',
      'losses',
      'characters',
      'of the other',
      'longer wins',
    ]);
    expect(line).toEqual([
      'longer',
      'shorter',
      '12',
      '12',
      '100.0 %',
      '100.0 % to 100.0 %',
      '< 0.001',
      '12',
      '0',
      '0',
      '43',
      '13',
      '100.0 %',
    ]);
    expect(stderr).toContain('longer against shorter: the intervals of 12 prompts are too narrow');
    expect(json('w.json')).toMatchObject({
      settings: { model: 'j', templates: { helpful: expect.stringMatching(/^[0-9a-f]{16}$/) }, prompts: 12 },
      pairs: [{ model: 'longer', other: 'shorter', wins: 12, firstPlaceShare: 0.5 }],
    });
    expect(readFileSync(at('w.html'), 'utf8')).toContain('<td>longer</td><td>shorter</td><td>12</td><td>12</td>');
    for (const name of readdirSync(folder)) expect(readFileSync(at(name), 'utf8'), name).not.toContain(secret);
    expect(stdout + stderr + stopped.stderr).not.toContain(secret);

    // All is kept: the server is not needed any more.
    await server[Symbol.asyncDispose]();
    expect((await run('winrate', ...files, ...judge)).stdout).toBe(stdout);
  });

  test('the file has every text and verdict, as the page of the dashboard reads them', async () => {
    await using server = await testServer((request) => {
      const [a, b] = answersIn(request) as [string, string];
      // No verdict on the shortest answers; the first place wins where lengths are near.
      if (a.length + b.length < 20) return { text: 'I cannot say.' };
      return a.length + b.length < 40 ? { text: 'Both are fine.\nWinner: A' } : longerWins(request);
    });
    const judge = ['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache-rows.jsonl')];
    const { error } = await run('winrate', '--answers', longer, shorter, ...judge, '--json', at('rows.json'));
    expect(error).toBeUndefined();
    const files = new ResultFiles(await ServedFolder.at(folder));
    const listed = await files.list(new Map(readdirSync(folder).map((name) => [name, at(name)])));
    expect(listed.map(({ id }) => id)).toContain('rows.json');
    const read = await files.read(at('rows.json'));
    if (read.kind !== 'winrate') throw new Error(read.kind);
    const [{ rows, wins, ties, losses }] = read.result.pairs as [(typeof read.result.pairs)[0]];
    expect(rows.map(({ prompt }) => prompt)).toEqual(prompts);
    expect(rows[0]).toEqual({
      ...{ prompt: 'prompt 0', answer: 'word '.repeat(3), other: 'x ' },
      verdicts: [{ text: 'I cannot say.' }, { text: 'I cannot say.' }],
    });
    const said = 'Both are fine.\nWinner: A';
    expect(rows[2]).toMatchObject({
      outcome: 'tie',
      agree: false,
      verdicts: [{ label: 'A', text: said }, { text: said }],
    });
    expect(rows[11]).toMatchObject({
      ...{ answer: 'word '.repeat(14), other: 'x '.repeat(12), outcome: 'win', agree: true },
      verdicts: [{ label: 'A' }, { label: 'B' }],
    });
    const count = (outcome: string) => rows.filter((row) => row.outcome === outcome).length;
    expect([wins, ties, losses]).toEqual(['win', 'tie', 'loss'].map(count));
    expect([wins, ties, losses]).toEqual([8, 3, 0]);
  });

  test('texts that are more than the page reads are left out, and numbers are not', () => {
    const row = { prompt: 'p', answer: 'é'.repeat(40), other: 'b', outcome: 'win' as const, agree: true };
    const verdicts = [{ first: 0.75, text: '1 and -1' }, { first: 0.5 }];
    const pairs = [{ model: 'a', other: 'b', comparison: { n: 1 } as never, rows: [{ ...row, verdicts }] }];
    const whole = resultDocument({ names: ['a', 'b'], pairs }, {});
    expect(JSON.parse(whole.text).pairs[0]).toEqual({
      ...{ model: 'a', other: 'b', n: 1 },
      // Rewards as the judge have no label of their own.
      rows: [{ ...row, verdicts: [{ label: 'A', text: '1 and -1' }, { label: 'C' }] }],
    });
    const size = Buffer.byteLength(whole.text);
    expect(resultDocument({ names: ['a', 'b'], pairs }, {}, size)).toEqual(whole);
    for (const most of [size - 1, 40]) {
      const cut = resultDocument({ names: ['a', 'b'], pairs }, {}, most);
      expect(cut.withTexts).toBe(false);
      expect(JSON.parse(cut.text).pairs).toEqual([{ model: 'a', other: 'b', n: 1 }]);
    }
  });

  test('several models make a table; a template of one’s own is asked', async () => {
    await using server = await testServer(({ prompt }) => ({ text: prompt.startsWith('Which') ? 'Winner: C' : '?' }));
    writeFileSync(at('own.txt'), 'Which is better? {prompt}\nA {answer_a}\nB {answer_b}');
    const { stdout, error } = await run(
      ...['winrate', '--answers', `a=${longer}`, `b=${shorter}`, `c=${shorter}`, '--template', at('own.txt')],
      ...['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache2.jsonl'), '--sample', '3'],
    );
    expect(error).toBeUndefined();
    const lines = stdout
      .trim()
      .split('\n')
      .map((one) => one.split(/ {2,}/));
    expect(lines[4]).toEqual(['row against column', 'a', 'b', 'c']);
    expect(lines[5]!.slice(-2)).toEqual(['50.0 %', '50.0 %']);
    // b and c are equal, and nobody is asked about them; a against c is the same question as a against b.
    expect(server.requests).toHaveLength(6);
  });

  test('mistakes of usage', async () => {
    const files = ['winrate', '--answers', longer, shorter, '--cache', at('cache3.jsonl')];
    expect((await run(...files)).error?.message).toMatch(/needs --judge-url and --judge-model/);
    const judge = ['--judge-url', 'http://127.0.0.1:9', '--judge-model', 'j'];
    expect((await run(...files, ...judge, '--template', 'nice')).error?.message).toMatch(
      /helpful, harmless, summary or a file are/,
    );
    expect((await run(...files, ...judge, '--judge-set', 'x')).error?.message).toMatch(/field=value is/);
    const { error } = await run(...files, ...judge, '--judge-set', 'api-key=sk-secret');
    expect(error?.message).toBe('--judge-set: "api-key" is no field and value; field=value is, such as seed=1');
    expect((await run(...files, ...judge, '--judge-set', 'model=x')).error?.message).toMatch(/decided elsewhere/);
    expect((await run(...files, ...judge, '--concurrency', '0')).error?.message).toMatch(/--concurrency: "0"/);
  });
});

test('ratings: means and the probability of improvement', async () => {
  await using server = await testServer((request) => {
    const value = Math.min(10, answersIn(request)[0]!.split(' ').length);
    const names = ['coherence', 'correctness', 'helpfulness', 'harmlessness', 'detail'];
    return { text: names.map((name) => `${name}: ${value}`).join('\n') };
  });
  const judge = ['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache4.jsonl')];
  const files = ['--answers', longer, shorter];
  const { stdout, error } = await run('ratings', ...files, ...judge, '--json', at('r.json'));
  expect(error).toBeUndefined();
  expect(server.requests).toHaveLength(24);
  const { improvements, models } = json('r.json');
  expect(models[0].means.coherence.rating).toBeGreaterThan(models[1].means.coherence.rating);
  expect(improvements[0].improvement.all.probability).toBeGreaterThan(0.5);
  expect(improvements[0].improvement.all.clusters).toBe(12);
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual(
    expect.arrayContaining([['mean rating', 'answers', 'prompts'], ['longer', '12', '12']]), // biome-ignore format: short
  );
  expect(stdout).toContain('longer over shorter');

  const more = write('more.jsonl', [
    ...prompts.map((prompt) => ({ prompt, completion: 'y' })),
    { prompt: 'else', completion: 'y' },
  ]);
  const left = await run('ratings', ...files, more, ...judge);
  expect(left.stderr).toContain('more: 1 answer is left out, whose prompts another file lacks');
});

describe('alpaca with a judge', () => {
  const reference = write(
    'reference.jsonl',
    prompts.map((instruction) => ({ instruction, output: 'a base answer', generator: 'base' })),
  );
  const outputs = write(
    'outputs.jsonl',
    prompts
      .slice(1)
      .map((instruction, i) => ({ instruction, output: i === 0 ? 'a base answer' : `answer ${i}`, generator: 'm' })),
  );
  /** p(m) = 0.9 where the model's answer goes by m, else 0.2; one answer cannot be read. */
  const letters = (request: AskedRequest): Behaviour => {
    if (request.prompt.includes('answer 5')) return { text: 'x', logprobs: tokenLogprobs({ x: -0.1 }) };
    const p = answersIn(request)[0] === 'a base answer' ? 0.2 : 0.9;
    return { text: 'm', logprobs: tokenLogprobs({ m: Math.log(p), M: Math.log(1 - p) }) };
  };
  const files = ['--outputs', outputs, '--reference-outputs', reference];

  test('annotates in one order or both, and evaluates', async () => {
    await using server = await testServer(letters);
    const judge = ['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache5.jsonl')];
    const out = at('annotations.json');
    const { stderr, error } = await run('alpaca', ...files, ...judge, '--out', out, '--json', at('alpaca.json'));
    expect(error).toBeUndefined();
    expect(stderr).toContain(
      `wrote ${out}: 11 rows, 1 without a verdict, 1 equal answers, 1 instructions without an answer`,
    );
    // Nine rows once, and the one that cannot be read twice.
    expect(server.requests).toHaveLength(11);
    const rows = json('annotations.json') as {
      instruction: string;
      preference: number | null;
      raw_completion: { model_first: boolean }[] | null;
    }[];
    expect(rows.map(({ instruction }) => instruction)).toEqual(prompts.slice(1));
    for (const { preference, raw_completion } of rows) {
      if (raw_completion === null) expect(preference).toBe(1.5);
      else if (preference !== null) expect(preference).toBeCloseTo(raw_completion[0]!.model_first ? 1.9 : 1.8, 10);
    }
    const orders = rows.map(({ raw_completion }) => raw_completion?.[0]?.model_first);
    expect(new Set(orders)).toEqual(new Set([undefined, true, false]));
    expect(json('alpaca.json').models[0]).toMatchObject({
      model: 'm',
      n: 10,
      n_draws: 1,
      n_wins: 9,
      lc_win_rate: null,
    });

    const both = await run('alpaca', ...files, ...judge, '--out', out, '--orders', 'both');
    expect(both.error).toBeUndefined();
    expect((json('annotations.json') as typeof rows)[1]!.preference).toBeCloseTo(1.85, 10);
    // What was asked in one order is not asked again.
    expect(server.requests).toHaveLength(11 + 9 + 2);
  });

  test('a server without log-probabilities is an error; --discrete takes the letter', async () => {
    await using server = await testServer(() => ({ text: 'm' }));
    const judge = ['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache6.jsonl')];
    const { error } = await run('alpaca', ...files, ...judge, '--out', at('a.json'));
    expect(error?.message).toMatch(/gives no log-probabilities/);
    const discrete = await run('alpaca', ...files, ...judge, '--out', at('a.json'), '--discrete');
    expect(discrete.error).toBeUndefined();
    expect(new Set((json('a.json') as { preference: number }[]).map(({ preference }) => preference))).toEqual(
      new Set([1, 1.5, 2]),
    );
    expect((await run('alpaca', ...files, ...judge)).error?.message).toMatch(/and --out, the file of annotations/);
  });
});

describe('arena with a judge', () => {
  const questions = write('questions.jsonl', [
    { uid: '1', category: 'hard_prompt', prompt: 'one' },
    { uid: '2', category: 'creative_writing', prompt: 'two' },
    { uid: '3', category: 'hard_prompt', prompt: 'three' },
  ]);
  const answersOf = (model: string, text: string) =>
    write(
      `${model}.jsonl`,
      ['1', '2', '3'].map((uid) => ({ uid, model, completion: `${text} ${uid}` })),
    );
  const models = [answersOf('base', 'base'), answersOf('m', 'better')];

  test('judges both orders, writes judgments, prints the leaderboards', async () => {
    await using server = await testServer((request) => {
      const [a] = answersIn(request);
      if (a!.endsWith('3')) return { text: 'I cannot say.' };
      return { text: `Thoughts.\n[[${a!.startsWith('better') ? 'A>>B' : 'B>A'}]]` };
    });
    const judge = ['--judge-url', server.url, '--judge-model', 'j', '--cache', at('cache7.jsonl')];
    const files = [
      '--questions',
      questions,
      '--answers',
      ...models,
      '--out',
      at('judgments.jsonl'),
      '--baseline',
      'base',
    ];
    const { stdout, stderr, error } = await run('arena', ...files, ...judge);
    expect(error).toBeUndefined();
    expect(stderr).toContain('2 games without a verdict: 1 question is left out');
    expect(stderr).toContain('base: mean length 2');
    const lines = stdout
      .trim()
      .split('\n')
      .map((one) => one.split(/ {2,}/));
    expect(lines.filter(([model]) => model === 'm').map((cells) => cells.slice(3))).toEqual([
      ['1', '2', '0', '0', '2', '2'],
      ['1', '2', '0', '0', '0', '2'],
    ]);
    // Four games with a verdict, and two that are asked for twice.
    expect(server.requests).toHaveLength(8);
    const rows = readFileSync(at('judgments.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows[0]).toMatchObject({
      uid: '1',
      model: 'm',
      baseline: 'base',
      games: [{ score: 'B>A' }, { score: 'A>>B' }],
    });
    expect(rows[2]).toMatchObject({ games: [{ score: null, unparsed: 'no label' }, { score: null }] });
    const systems = new Set(server.requests.map(({ body }) => body.messages[0]!.content));
    expect(systems.size).toBe(2);
    const again = await run('arena', '--judgments', at('judgments.jsonl'), '--answers', ...models);
    expect(again.stdout).toBe(stdout);
  });

  test('the baseline of the benchmark has to be there', async () => {
    const judge = ['--judge-url', 'http://127.0.0.1:9', '--judge-model', 'j', '--cache', at('cache8.jsonl')];
    const files = ['--questions', questions, '--answers', ...models, '--out', at('j.jsonl')];
    expect((await run('arena', ...files, ...judge)).error?.message).toMatch(
      /the baseline of hard_prompt is o3-mini-2025-01-31, and no file has its answers/,
    );
    expect((await run('arena')).error?.message).toMatch(/either --judgments or a judge/);
    expect((await run('arena', ...judge)).error?.message).toMatch(/give --questions, --answers/);
  });
});
