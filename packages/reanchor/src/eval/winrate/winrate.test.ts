import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Pair, PairJudge } from '../judge/judge.js';
import { escaped, winRateReport } from './report.js';
import { winRate } from './winrate.js';

const folder = mkdtempSync(join(tmpdir(), 'winrate-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, answers: Record<string, string>) => {
  const rows = Object.entries(answers).map(([prompt, completion]) => JSON.stringify({ prompt, completion }));
  writeFileSync(join(folder, name), rows.join('\n'));
  return join(folder, name);
};

/** A judge that prefers the answer with the larger number, and remembers what it saw. */
function numberJudge(seen: Pair[] = []): PairJudge {
  return {
    name: 'numbers',
    settings: { rule: 'larger number' },
    judge: async (pair) => {
      seen.push(pair);
      const [a, b] = [Number(pair.first), Number(pair.second)];
      if (Number.isNaN(a + b)) return { first: undefined, unparsed: 'no number', text: 'x' };
      return { first: a > b ? 1 : a < b ? 0 : 0.5, label: a > b ? 'A' : 'B', text: `${a} against ${b}` };
    },
  };
}

const a = write('a.jsonl', { p: '5', q: '1', r: '7', s: '3', t: 'five' });
const b = write('b.jsonl', { r: '2', p: '5', q: '4', s: '2', u: '9', t: '1' });
const c = write('c.jsonl', { p: '0', q: '0', r: '0', s: '0', t: '0' });

describe('win rates', () => {
  test('match answers by prompt, judge both orders, ask nobody about equal answers', async () => {
    const seen: Pair[] = [];
    const out = join(folder, 'out.jsonl');
    const { names, prompts, leftOut, pairs } = await winRate({
      answers: [a, b],
      judge: numberJudge(seen),
      out,
      concurrency: 3,
    });
    expect({ names, prompts, leftOut }).toEqual({ names: ['a', 'b'], prompts: 5, leftOut: [0, 1] });
    expect(pairs[0]!.comparison).toMatchObject({ n: 4, wins: 2, losses: 1, ties: 1, identical: 1, unparsed: 1 });
    expect(seen).toHaveLength(8);
    expect(seen.filter(({ prompt }) => prompt === 'q').map(({ first, second }) => [first, second])).toEqual([
      ['1', '4'],
      ['4', '1'],
    ]);
    const lines = readFileSync(out, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(5);
    expect(lines[1]).toMatchObject({ model: 'a', other: 'b', lines: [2, 3], outcome: 'loss', agree: true });
    expect(lines[4]).toMatchObject({ outcome: null, verdicts: [{ unparsed: 'no number' }, { unparsed: 'no number' }] });
  });

  test('everyone with everyone, or all with one', async () => {
    const files = [`one=${a}`, `two=${b}`, c];
    const judge = numberJudge();
    const all = await winRate({ answers: files, judge, concurrency: 4 });
    expect(all.pairs.map(({ model, other }) => `${model}-${other}`)).toEqual(['one-two', 'one-c', 'two-c']);
    const against = await winRate({ answers: files, judge, baseline: 'two', concurrency: 4 });
    expect(against.pairs.map(({ model, other }) => `${model}-${other}`)).toEqual(['one-two', 'c-two']);
    await expect(winRate({ answers: files, judge, baseline: 'x', concurrency: 1 })).rejects.toThrow(
      /none of the models one, two, c/,
    );
  });

  test('a sample is the same prompts for the same seed', async () => {
    const seen = async (seed: number) => {
      const pairs: Pair[] = [];
      const { prompts } = await winRate({
        answers: [a, c],
        judge: numberJudge(pairs),
        sample: 2,
        seed,
        concurrency: 1,
      });
      expect(prompts).toBe(2);
      return [...new Set(pairs.map(({ prompt }) => prompt))].join('');
    };
    expect(await seen(1)).toBe(await seen(1));
    expect(new Set(await Promise.all([1, 2, 3, 4, 5].map(seen))).size).toBeGreaterThan(1);
  });

  test('a prompt that occurs several times is matched in order', async () => {
    const lines = (values: string[]) =>
      values.map((completion) => JSON.stringify({ prompt: 'p', completion })).join('\n');
    const [x, y] = [join(folder, 'x.jsonl'), join(folder, 'y.jsonl')];
    writeFileSync(x, lines(['1', '2', '3']));
    writeFileSync(y, lines(['0', '5']));
    const { pairs, leftOut } = await winRate({ answers: [x, y], judge: numberJudge(), concurrency: 1 });
    expect(pairs[0]!.rows.map(({ answer, other, outcome }) => [answer, other, outcome])).toEqual([
      ['1', '0', 'win'],
      ['2', '5', 'loss'],
    ]);
    expect(leftOut).toEqual([1, 0]);
  });

  test('answers to chats are matched with those to the same chats, and to texts that are their one question', async () => {
    const user = (content: string) => ({ role: 'user', content });
    const dialogue = [user('Hi'), { role: 'assistant', content: 'Yes?' }, user('Why?')];
    const lines = (name: string, rows: object[]) => {
      writeFileSync(join(folder, name), rows.map((row) => JSON.stringify(row)).join('\n'));
      return join(folder, name);
    };
    const tuned = lines('tuned.jsonl', [
      { prompt: dialogue, completion: '1', finish: 'length' },
      { prompt: [user('One')], completion: '2', finish: 'stop' },
      { prompt: [user('Two ')], completion: '3' },
    ]);
    const sft = lines('sft.jsonl', [
      { instruction: 'Two', output: '4' },
      { instruction: 'One', output: '1' },
      { prompt: dialogue, completion: '0' },
    ]);
    const seen: Pair[] = [];
    const { pairs, leftOut } = await winRate({ answers: [tuned, sft], judge: numberJudge(seen), concurrency: 1 });
    expect(leftOut).toEqual([0, 0]);
    expect(pairs[0]!.rows.map(({ prompt, answer, other, outcome }) => [prompt, answer, other, outcome])).toEqual([
      ['User: Hi\n\nAssistant: Yes?\n\nUser: Why?', '1', '0', 'win'],
      ['One', '2', '1', 'win'],
      ['Two ', '3', '4', 'loss'],
    ]);
    const turned = await winRate({ answers: [sft, tuned], judge: numberJudge(), concurrency: 1 });
    expect(turned.pairs[0]!.rows.map(({ prompt }) => prompt).sort()).toEqual(
      pairs[0]!.rows.map(({ prompt }) => prompt).sort(),
    );
    // The judge sees the chat itself, and which answers were cut, in both orders.
    expect(seen.slice(0, 2).map(({ prompt, isCut }) => [prompt, isCut])).toEqual([
      [dialogue, [true, false]],
      [dialogue, [false, true]],
    ]);
  });

  test('a pair without a verdict does not end the others', async () => {
    const words = write('words.jsonl', { p: 'x', q: 'y', r: 'z' });
    const result = await winRate({ answers: [a, words, c], judge: numberJudge(), concurrency: 2 });
    expect(result.pairs.map(({ model, other }) => `${model}-${other}`)).toEqual(['a-c']);
    expect(result.unjudged).toEqual([
      { model: 'a', other: 'words' },
      { model: 'words', other: 'c' },
    ]);
    const html = winRateReport(result, { title: 't', settings: {}, samples: 1, seed: 1 });
    expect(html).not.toContain('NaN');
  });

  test('mistakes say what to do', async () => {
    const judge = numberJudge();
    await expect(winRate({ answers: [a], judge, concurrency: 1 })).rejects.toThrow(/two or more files/);
    await expect(winRate({ answers: [a, a], judge, concurrency: 1 })).rejects.toThrow(/two files go by the name a/);
    const other = write('other.jsonl', { z: '1' });
    await expect(winRate({ answers: [a, other], judge, concurrency: 1 })).rejects.toThrow(/no prompt in common/);
    const words = [write('w.jsonl', { p: 'x' }), write('v.jsonl', { p: 'y' })];
    await expect(winRate({ answers: words, judge, concurrency: 1 })).rejects.toThrow(
      /w and v: the judge gave no verdict/,
    );
    writeFileSync(join(folder, 'bad.jsonl'), '{"prompt": "p"}\n');
    await expect(winRate({ answers: [a, join(folder, 'bad.jsonl')], judge, concurrency: 1 })).rejects.toThrow(
      /bad\.jsonl:1: no text completion or output/,
    );
  });
});

describe('the page', () => {
  const nasty = `</pre><script>alert(1)</script><img src=x onerror="alert('2')">&amp;`;
  const page = async () => {
    const files = [
      `<b>m=${write('n1.jsonl', { [nasty]: '1', q: '4' })}`,
      `m2=${write('n2.jsonl', { [nasty]: '2', q: '3' })}`,
      `m3=${write('n3.jsonl', { [nasty]: nasty, q: '3' })}`,
    ];
    const judge: PairJudge = { ...numberJudge(), judge: async () => ({ first: 0.5, label: nasty, text: nasty }) };
    const result = await winRate({ answers: files, judge, concurrency: 1 });
    return winRateReport(result, { title: nasty, settings: { template: nasty }, samples: 5, seed: 1 });
  };

  test('has no scripts, loads nothing, and shows every text as text', async () => {
    const html = await page();
    expect(html).not.toMatch(/<script|<img|<b>|<link|<iframe|javascript:/i);
    expect(html).not.toMatch(/<[^>]*\son\w+=/i);
    expect(html).not.toMatch(/<[^>]*\s(src|href)=/i);
    expect(html).toContain("default-src 'none'");
    expect(html.split(escaped(nasty)).length - 1).toBeGreaterThan(6);
    expect(html).toContain('&lt;b&gt;m');
  });

  test('is well formed, and the same again for the same seed', async () => {
    const html = await page();
    const voids = new Set(['meta', 'rect', 'line', 'circle']);
    const open: string[] = [];
    for (const [, close, tag] of html.replace('<!doctype html>', '').matchAll(/<(\/?)([a-z0-9]+)[^>]*>/g)) {
      if (voids.has(tag!)) continue;
      if (close) expect(open.pop()).toBe(tag);
      else open.push(tag!);
    }
    expect(open).toEqual([]);
    expect(await page()).toBe(html);
  });
});
