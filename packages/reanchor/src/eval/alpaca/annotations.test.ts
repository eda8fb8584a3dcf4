import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readAnswers } from '../answers.js';
import { readAnnotations } from './annotations.js';

describe('annotations of invented answers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'annotations-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, value: unknown) => {
    writeFileSync(join(folder, name), JSON.stringify(value));
    return join(folder, name);
  };
  const base = [
    { instruction: 'Sort', output: 'one way' },
    { instruction: 'Name a\ncolour', output: 'blue' },
    { instruction: 'Sort', output: 'another way' },
    { instruction: 'Count', output: '1 2 3' },
  ].map((row) => ({ ...row, generator: 'base' }));
  const judged = (i: number, change: object = {}) => ({
    instruction: base[i]!.instruction,
    output_1: base[i]!.output,
    generator_1: 'base',
    output_2: `mine ${i}`,
    generator_2: 'm',
    preference: 1 + i / 4,
    ...change,
  });
  const placesOf = async (rows: object[], outputs?: object[]) => {
    const [one] = await readAnnotations(write('rows.json', rows), {
      reference: await readAnswers(write('base.json', base)),
      outputs: outputs && write('outputs.json', outputs),
    });
    return one!;
  };

  test('are found by instruction, and one that occurs twice by the answer', async () => {
    const rows = [judged(3), judged(2), judged(1), judged(0)];
    expect((await placesOf(rows)).index).toEqual([3, 2, 1, 0]);
    expect((await placesOf([judged(2)])).index).toEqual([2]);
    // Without the answers a second occurrence is the second one there.
    const bare = rows.map(({ output_1: _, ...row }) => row);
    expect((await placesOf(bare)).index).toEqual([3, 0, 1, 2]);
    expect((await placesOf(bare)).len1).toEqual([5, 7, 4, 11]);
  });

  test('white space tells no instructions apart; input belongs to them', async () => {
    const rows = [judged(1, { instruction: 'Name a colour ' }), judged(3, { instruction: ' Count\n' })];
    expect((await placesOf(rows)).index).toEqual([1, 3]);
    const message = /rows\.json:1: its instruction is not \(or not so often\) among the baseline’s answers/;
    await expect(placesOf([judged(3, { input: 'to ten' })])).rejects.toThrow(message);
  });

  test('that are more than the baseline has, or of no instruction there, are refused', async () => {
    const message = /rows\.json:2: its instruction is not \(or not so often\) among the baseline’s answers/;
    await expect(placesOf([judged(1), judged(1)])).rejects.toThrow(message);
    await expect(placesOf([judged(1), judged(1, { instruction: 'Namea colour' })])).rejects.toThrow(message);
  });

  test('take the model’s answers from a file in another order, with answers to more, and to chats', async () => {
    const rows = [0, 1, 2, 3].map((i) => judged(i)).map(({ output_2: _, ...row }) => row);
    const outputs = [
      { prompt: [{ role: 'user', content: 'Count' }], completion: 'xxxx' },
      { instruction: 'Else', output: 'x' },
      { instruction: 'Sort', output: 'x' },
      { instruction: 'Name a colour', output: 'xx' },
      { instruction: 'Sort', output: 'xxx' },
    ];
    expect((await placesOf(rows, outputs)).len2).toEqual([1, 2, 3, 4]);
    // Of the answers of several models those of the model are taken.
    const mine = outputs.map((row) => ({ ...row, generator: 'm' }));
    const others = outputs.map(({ output: _, ...row }) => ({ ...row, completion: 'another', generator: 'n' }));
    expect((await placesOf(rows, [...others, ...mine])).len2).toEqual([1, 2, 3, 4]);
    await expect(placesOf(rows, outputs.slice(1))).rejects.toThrow(/rows\.json:4: .* in .*outputs\.json/);
  });

  test('of the baseline itself are known by the names', async () => {
    expect((await placesOf([judged(0)])).isBaseline).toBe(false);
    expect((await placesOf([judged(0, { generator_2: 'base' })])).isBaseline).toBe(true);
  });
});
