import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import type { DataKind, PreferenceRow, TokenizedOf } from '../data/index.js';
import { tokenizeRows } from '../data/index.js';
import { UserError } from '../errors.js';
import { loadTokenizer } from '../text/index.js';
import { cachedTokens, listTokens, removeTokens } from './cache.js';
import { RowLayout } from './layout.js';
import { type Sink, type TokenFile, TokenWriter, tokenFileIn } from './token-file.js';
import { Tokenizers } from './tokenizers.js';

const folder = mkdtempSync(join(tmpdir(), 'tokens-'));
afterAll(() => rmSync(folder, { recursive: true }));

const tinyModel = join(fixtures, 'models/llama-tiny');
const files = ['a.jsonl', 'b.jsonl'];
const id = (isWide: boolean) => fc.integer({ min: 0, max: isWide ? 2 ** 31 - 1 : 2 ** 16 - 1 });
const ids = (isWide: boolean, minLength = 0) =>
  fc.array(id(isWide), { minLength, maxLength: 40 }).map((some) => Int32Array.from(some));
const marks = fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 40 }).map((some) => Uint8Array.from(some));
const place = { index: fc.nat(), line: fc.nat(), file: fc.constantFrom(...files) };
const flag = { boundaryMismatch: fc.boolean() };

/** Rows of each kind, with and without what may be left out, keys in their order. */
const rowsOf = (isWide: boolean): { [Kind in DataKind]: fc.Arbitrary<TokenizedOf[Kind]> } => {
  const prompt = ids(isWide);
  return {
    pairs: fc.record(
      { ...place, prompt, chosen: prompt, rejected: prompt, chosenScored: marks, rejectedScored: marks, ...flag },
      { requiredKeys: ['index', 'line', 'file', 'prompt', 'chosen', 'rejected', 'boundaryMismatch'] },
    ),
    unpaired: fc.record(
      { ...place, prompt, completion: prompt, uncut: ids(isWide, 1), scored: marks, label: fc.boolean(), ...flag },
      { requiredKeys: ['index', 'line', 'file', 'prompt', 'completion', 'label', 'boundaryMismatch'] },
    ),
    sft: fc.record(
      { ...place, prompt, completion: prompt, scored: marks, ...flag },
      { requiredKeys: ['index', 'line', 'file', 'prompt', 'completion', 'boundaryMismatch'] },
    ),
  };
};

/** A file in memory, written in blocks of three rows. */
async function written<Kind extends DataKind>(
  kind: Kind,
  rows: readonly TokenizedOf[Kind][],
  { isWide = false, facts = {} }: { isWide?: boolean; facts?: unknown } = {},
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const layout = new RowLayout(kind, isWide, files);
  const writer = new TokenWriter({ write: async (bytes) => void chunks.push(bytes.slice()) }, layout);
  for (let from = 0; from < rows.length; from += 3) {
    const some = rows.slice(from, from + 3).map((row, i) => ({ ordinal: 2 * (from + i), row }));
    await writer.add(2 * some.length, layout.encode(some), []);
  }
  await writer.end({ kind, isWide, files, facts });
  return chunks;
}

describe('token rows', () => {
  test.each(['pairs', 'unpaired', 'sft'] as const)('of kind %s are read as they were written', async (kind) => {
    for (const isWide of [false, true]) {
      const arbitrary = fc.array(rowsOf(isWide)[kind] as fc.Arbitrary<TokenizedOf['pairs']>, { maxLength: 20 });
      const property = fc.asyncProperty(arbitrary, fc.array(fc.nat(40)), async (rows, some) => {
        const file = tokenFileIn<'pairs'>(await written(kind as 'pairs', rows, { isWide }));
        const { rows: all } = file.select();
        expect([...all]).toEqual(rows);
        // In any order too, as a shuffled epoch asks for them.
        for (const i of some) expect(all.at(i)).toEqual(rows.at(i));
        for (const [i, row] of [...all].entries()) {
          const kept = Object.entries(rows[i]!).filter(([, value]) => value !== undefined);
          expect(Object.keys(row)).toEqual(kept.map(([key]) => key));
        }
      });
      await fc.assert(property, { numRuns: 60 });
    }
  });

  test('are selected by their number among all that were read', async () => {
    const rows = fc.sample(rowsOf(false).sft, 9).map((row, index) => ({ ...row, index }));
    const file = tokenFileIn<'sft'>(await written('sft', rows));
    const { rows: some, report } = file.select((ordinal) => ordinal % 4 === 0);
    expect([...some.indices()]).toEqual([0, 2, 4, 6, 8]);
    expect(report).toMatchObject({ total: 5, kept: 5 });
  });
});

describe('threads', () => {
  const pairs: PreferenceRow[] = Array.from({ length: 40 }, (_, index) => ({
    ...{ index, line: index + 1, file: files[0]! },
    prompt: `What is ${index}?`,
    chosen: index % 7 === 3 ? ' ' : ` It is ${index}, which is more than one.`,
    rejected: ' No.',
  }));

  test.each([0, 1, 2])('%i beside this one make of rows what this one makes of them', async (threads) => {
    const tokenizer = await loadTokenizer(tinyModel);
    const options = { maxLength: 24, now: new Date(0) };
    using tokenizers = new Tokenizers({ kind: 'pairs', tokenizer, options, files }, threads);
    expect(tokenizers.hasThreads).toBe(threads > 0);
    const chunks: Uint8Array[] = [];
    const writer = new TokenWriter(
      { write: async (bytes) => void chunks.push(bytes) },
      new RowLayout('pairs', false, files),
    );
    const under = [0, 10, 20, 30].map((first) => tokenizers.make({ first, rows: pairs.slice(first, first + 10) }));
    for (const { block, said } of await Promise.all(under)) await writer.add(10, block, said);
    await writer.end({ kind: 'pairs', isWide: false, files, facts: {} });
    const { rows, report } = tokenFileIn<'pairs'>(chunks).select();
    const expected = tokenizeRows('pairs', pairs, tokenizer, options);
    expect([...rows]).toEqual(expected.rows);
    expect(report).toEqual(expected.report);
    expect(report.byReason.size).toBeGreaterThan(0);
  });

  test('have the work, not the one that asks', async () => {
    const tokenizer = await loadTokenizer(tinyModel);
    const encode = () => {
      throw new Error('made here');
    };
    const tokenizing = {
      kind: 'pairs' as const,
      tokenizer: { ...tokenizer, encode },
      options: { maxLength: 24 },
      files,
    };
    using none = new Tokenizers(tokenizing, 0);
    await expect(none.make({ first: 0, rows: pairs })).rejects.toThrow('made here');
    using one = new Tokenizers(tokenizing, 1);
    const { block } = await one.make({ first: 0, rows: pairs });
    expect(block.bytes.length).toBeGreaterThan(0);
  });

  test('leave errors to who has asked, with their class and words', async () => {
    const alone = mkdtempSync(join(folder, 'without-eos-'));
    cpSync(join(tinyModel, 'tokenizer.json'), join(alone, 'tokenizer.json'));
    const tokenizer = await loadTokenizer(alone);
    using tokenizers = new Tokenizers({ kind: 'pairs', tokenizer, options: { maxLength: 24 }, files }, 1);
    const made = tokenizers.make({ first: 0, rows: pairs });
    await expect(made).rejects.toThrow(UserError);
    await expect(made).rejects.toThrow(/no EOS token/);
  });
});

describe('the cache', () => {
  const kept = join(folder, 'kept');
  const clock = { now: () => 0, sleep: () => setImmediate() };
  const rows = fc.sample(rowsOf(false).pairs, 30).map((row, index) => ({ ...row, index }));
  let made = 0;
  const make = async (sink: Sink) => {
    made++;
    for (const chunk of await written('pairs', rows)) await sink.write(chunk);
  };
  const open = (more: object = {}): Promise<TokenFile<'pairs'>> =>
    cachedTokens({ folder: kept, key: 'k', clock, make, onNote: (note) => expect(note).toBe(''), ...more });
  const path = join(kept, 'k.rows');
  const all = (file: TokenFile<'pairs'>) => [...file.select().rows];

  test('makes a file once, and opens it ever after', async () => {
    expect(all(await open())).toEqual(rows);
    expect(all(await open())).toEqual(rows);
    expect(made).toBe(1);
    expect(listTokens(kept)).toMatchObject([{ name: 'k', rows: rows.length, sources: files }]);
  });

  test('makes anew what was cut short at any byte, or altered in any', async () => {
    await open();
    const bytes = readFileSync(path);
    const cuts = [0, 1, 100, bytes.length - 60, bytes.length - 23, bytes.length - 1];
    for (const cut of cuts) {
      made = 0;
      truncateSync(path, cut);
      expect(all(await open())).toEqual(rows);
      expect(made, `cut at ${cut}`).toBe(1);
    }
    for (const at of [0, 57, bytes.length - 70, bytes.length - 30]) {
      made = 0;
      const altered = Buffer.from(bytes);
      altered[at]! ^= 1;
      writeFileSync(path, altered);
      expect(all(await open())).toEqual(rows);
      expect(made, `altered at ${at}`).toBe(1);
    }
    made = 0;
    appendFileSync(path, 'x');
    expect(all(await open())).toEqual(rows);
    expect(made).toBe(1);
  });

  test('is made once by many who ask at the same time, and leaves nothing of one that was killed', async () => {
    removeTokens(listTokens(kept));
    writeFileSync(`${path}.tmp-0123456789ab`, 'half');
    made = 0;
    const found = await Promise.all([1, 2, 3, 4].map(() => open()));
    for (const file of found) expect(all(file)).toEqual(rows);
    expect(made).toBe(1);
    expect(readdirSync(kept)).toEqual(['k.rows']);
  });

  test('may be cleared while rows are read', async () => {
    const file = await open();
    removeTokens(listTokens(kept));
    expect(listTokens(kept)).toEqual([]);
    expect(all(file)).toEqual(rows);
  });

  test('that cannot be written is told, and rows are made all the same', async () => {
    const notes: string[] = [];
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const found = await open({ folder: join(file, 'below'), onNote: (note: string) => notes.push(note) });
    expect(all(found)).toEqual(rows);
    expect(notes).toEqual([
      expect.stringMatching(/made tokens anew at each start: .*REANCHOR_TOKENS names another folder/),
    ]);
  });

  test('keeps nothing of rows that could not be made', async () => {
    removeTokens(listTokens(kept));
    const fail = async (sink: Sink) => {
      await sink.write(new Uint8Array(100));
      throw new RangeError('a wrong row');
    };
    await expect(open({ make: fail })).rejects.toThrow('a wrong row');
    expect(readdirSync(kept)).toEqual([]);
  });
});
