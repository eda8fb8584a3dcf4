import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dataFolder, fixtures } from '../../../../tests/support/repository.js';
import { UserError } from '../errors.js';
import { readJsonl } from '../formats/index.js';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.js';
import { packPairs } from './pack.js';
import type { PreferenceRow } from './row.js';
import { loadPreferenceRows } from './rows.js';
import { describeSkips } from './skips.js';
import { type TokenizedPair, tokenizePair, tokenizePairs } from './tokenize.js';

/** BOS, then a token for each pair of letters or odd letter; "</s>" is EOS. */
const tokenizer = {
  encode: (text: string) => [
    1,
    ...text.split(/(<\/s>)/).flatMap((part) => (part === '</s>' ? [2] : (part.match(/..?/gs) ?? []).map(pieceId))),
  ],
  eosToken: '</s>',
} as Tokenizer;
const pieceId = (piece: string) => [...piece].reduce((id, letter) => id * 256 + letter.charCodeAt(0), 1);

const row = (prompt: string, chosen: string, rejected: string, index = 0): PreferenceRow => ({
  index,
  line: index + 1,
  file: 'rows.jsonl',
  prompt,
  chosen,
  rejected,
});
const pairOf = (given: PreferenceRow, options = { maxLength: 100 }) =>
  tokenizePair(given, tokenizer, options) as TokenizedPair;
const ids = (...pieces: (string | number)[]) =>
  Int32Array.from(pieces, (piece) => (typeof piece === 'number' ? piece : pieceId(piece)));

describe('a pair as token ids', () => {
  test('has special tokens in the prompt and EOS at the end of both completions', () => {
    expect(pairOf(row('ab', 'cd', 'efg'))).toEqual({
      index: 0,
      line: 1,
      file: 'rows.jsonl',
      prompt: ids(1, 'ab'),
      chosen: ids('cd', 2),
      rejected: ids('ef', 'g', 2),
      boundaryMismatch: false,
    });
  });

  test('gets no second EOS', () => {
    expect(pairOf(row('ab', 'cd</s>', 'ef')).chosen).toEqual(ids('cd', 2));
  });

  test('is cut at maxLength, prompt included', () => {
    const { prompt, chosen, rejected } = pairOf(row('ab', 'cdef', 'gh'), { maxLength: 4 });
    expect([prompt, chosen, rejected]).toEqual([ids(1, 'ab'), ids('cd', 'ef'), ids('gh', 2)]);
  });

  test('says when a token straddles the end of the prompt, and cuts as many tokens as the prompt has', () => {
    expect(pairOf(row('abc', 'dx', 'ef'))).toMatchObject({
      prompt: ids(1, 'ab', 'c'),
      chosen: ids('x', 2),
      boundaryMismatch: true,
    });
    expect(pairOf(row('abcd', 'd', 'e'))).toMatchObject({ boundaryMismatch: false });
  });

  test('needs an EOS token', () => {
    const without = { ...tokenizer, eosToken: undefined } as Tokenizer;
    expect(() => tokenizePair(row('a', 'b', 'c'), without, { maxLength: 9 })).toThrow(UserError);
    expect(() => tokenizePair(row('a', 'b', 'c'), without, { maxLength: 9 })).toThrow(
      /set eos_token in tokenizer_config.json/,
    );
  });
});

describe('a row that cannot be scored', () => {
  test.each<[string, PreferenceRow, number, string]>([
    ['no completion', row('ab', '', 'cd'), 100, 'empty completion'],
    ['white space only', row('ab', 'cd', ' \n'), 100, 'empty completion'],
    ['EOS only', row('ab', '</s>', 'cd'), 100, 'empty completion'],
    ['a prompt of maxLength tokens', row('abcd', 'ef', 'gh'), 3, 'prompt fills maxLength'],
    ['equal completions', row('ab', 'cd', 'cd</s>'), 100, 'identical pair'],
    ['completions that are equal once cut', row('ab', 'cdef', 'cdgh'), 3, 'identical pair once cut at maxLength'],
    ['different prompts', { ...row('ab', 'cd', 'ef'), skipped: 'different prompts' }, 100, 'different prompts'],
  ])('%s is skipped', (_name, given, maxLength, skipped) => {
    expect(tokenizePair(given, tokenizer, { maxLength })).toEqual({ skipped });
  });

  test('an identical pair can be kept', () => {
    expect(tokenizePair(row('ab', 'cd', 'cd'), tokenizer, { maxLength: 9, keepIdentical: true })).toMatchObject({
      chosen: ids('cd', 2),
    });
  });

  test('is reported with its place and reason, and never lost', () => {
    const rows = [
      row('ab', 'cd', 'ef'),
      ...[1, 2, 3, 4].map((i) => row('ab', '', 'x', i)),
      row('ab', 'x', 'x', 5),
      row('abc', 'd', 'e', 6),
    ];
    const { pairs, report } = tokenizePairs(rows, tokenizer, { maxLength: 9, keepIdentical: false });
    expect(pairs.map(({ index }) => index)).toEqual([0]);
    expect(report).toMatchObject({ total: 7, kept: 1, remarks: new Map() });
    expect(report.byReason.get('identical pair')).toEqual([
      { index: 5, line: 6, file: 'rows.jsonl' },
      { index: 6, line: 7, file: 'rows.jsonl' },
    ]);
    expect(describeSkips(report)).toEqual([
      'skipped 4 of 7 rows, empty completion: rows.jsonl:2, rows.jsonl:3, rows.jsonl:4 and 1 more',
      'skipped 2 of 7 rows, identical pair: rows.jsonl:6, rows.jsonl:7',
    ]);
  });

  test('a row whose prompt ends within a token is kept and reported', () => {
    const { pairs, report } = tokenizePairs([row('abc', 'dx', 'ef')], tokenizer, { maxLength: 9 });
    expect(pairs.length).toBe(1);
    expect(describeSkips(report)).toEqual([
      'kept 1 of 1 rows in which a token straddles the end of the prompt: rows.jsonl:1',
    ]);
    expect(describeSkips(tokenizePairs([row('ab', 'cd', 'ef')], tokenizer, { maxLength: 9 }).report)).toEqual([]);
  });
});

interface Collated {
  input_ids: number[][];
  attention_mask: number[][];
  completion_mask: number[][];
}

const traces = ['dpo-fixed', 'tr-dpo-soft', 'tr-dpo-hard', 'tr-ipo-soft'].flatMap((name) => [
  { name, folder: join(fixtures, 'traces', name), model: join(fixtures, 'models/llama-tiny') },
  {
    name: `${name}, real`,
    folder: join(dataFolder ?? 'none', 'parity/traces', name),
    model: join(dataFolder ?? 'none', 'models/stories260K'),
  },
]);

describe.each(traces.filter(({ folder }) => existsSync(folder)))('as TRL tokenised: $name', ({ folder, model }) => {
  const read = async (options: { maxLength: number }) => {
    const rows = await loadPreferenceRows([join(folder, 'rows.jsonl.gz')]);
    return tokenizePairs(rows, await loadTokenizer(model), { ...options, keepIdentical: true });
  };
  const { max_length: maxLength } = (
    JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { args: { max_length: number } }
  ).args;

  test('the ids of every row', async () => {
    const whole = new Map((await read({ maxLength: 1e9 })).pairs.map((pair) => [pair.index, pair]));
    const { report } = await read({ maxLength });
    const dropped: number[] = [];
    for await (const { value } of readJsonl(join(folder, 'tokens.jsonl.gz'))) {
      const trl = value as {
        row: number;
        dropped?: boolean;
        prompt_ids: number[];
        chosen_ids: number[];
        rejected_ids: number[];
      };
      if (trl.dropped) {
        dropped.push(trl.row);
        continue;
      }
      const ours = whole.get(trl.row)!;
      expect([...ours.prompt], `row ${trl.row}`).toEqual(trl.prompt_ids);
      expect([...ours.chosen], `row ${trl.row}`).toEqual(trl.chosen_ids);
      expect([...ours.rejected], `row ${trl.row}`).toEqual(trl.rejected_ids);
    }
    expect((report.byReason.get('prompt fills maxLength') ?? []).map(({ index }) => index)).toEqual(dropped);
    expect(report.kept + dropped.length).toBe(report.total);
  });

  test('the first micro-batch, cut and masked', async () => {
    const batch = JSON.parse(readFileSync(join(folder, 'first_batch.json'), 'utf8')) as Collated;
    const size = batch.input_ids.length / 2;
    const pairs = (await read({ maxLength })).pairs.slice(0, size);
    const sides = [
      ...pairs.map(({ prompt, chosen }) => ({ prompt, ids: chosen })),
      ...pairs.map(({ prompt, rejected }) => ({ prompt, ids: rejected })),
    ];
    for (const [i, { prompt, ids }] of sides.entries()) {
      const length = prompt.length + ids.length;
      expect(batch.input_ids[i]!.slice(0, length)).toEqual([...prompt, ...ids]);
      expect(batch.attention_mask[i]).toEqual(batch.input_ids[i]!.map((_, t) => (t < length ? 1 : 0)));
      expect(batch.completion_mask[i]).toEqual(
        batch.input_ids[i]!.map((_, t) => (t >= prompt.length && t < length ? 1 : 0)),
      );
    }
    const packed = packPairs(pairs);
    const scored = batch.completion_mask.map((mask) => mask.slice(1).reduce((a, b) => a + b, 0));
    const ours = Array.from(
      { length: 2 * size },
      (_, s) => packed.sequences.filter((sequence) => sequence === s).length,
    );
    expect(ours).toEqual(Array.from({ length: size }, (_, i) => [scored[i], scored[size + i]]).flat());
  });
});
