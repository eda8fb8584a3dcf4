import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Group, type PackedBatch, packGroups, packPairs, pairTokens } from './pack.js';

const ids = (minLength: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength, maxLength: 6 }).map((list) => Int32Array.from(list));
const group: fc.Arbitrary<Group> = fc.record({ prompt: ids(0), completions: fc.array(ids(0), { maxLength: 4 }) });
const groups = fc.array(group, { maxLength: 5 });

/** A scored token in terms of whole sequences: everything before it, and the places of that in the text. */
interface Scored {
  sequence: number;
  context: number[];
  positions: number[];
  target: number;
}

/**
 * Each completion as a sequence of its own, as a padded batch has it: after a shift by one, every completion token is
 * scored.
 */
function plainly(groups: readonly Group[]): Scored[] {
  const sequences = groups.flatMap(({ prompt, completions }) => completions.map((ids) => ({ prompt, ids })));
  return sequences.flatMap(({ prompt, ids }, sequence) => {
    const whole = [...prompt, ...ids];
    const scored = whole.map((target, t) => ({
      sequence,
      context: whole.slice(0, t),
      positions: whole.slice(0, t).map((_, i) => i),
      target,
    }));
    return scored.slice(Math.max(1, prompt.length));
  });
}

/** The same from a packed batch, by walking from each scored row back through its span and that span's prefix. */
function walked(batch: PackedBatch): Scored[] {
  return Array.from(batch.rows, (row, m) => {
    const context: number[] = [];
    const positions: number[] = [];
    let span = batch.spans.findIndex(({ start, length }) => start <= row && row < start + length);
    for (let end = row + 1; span !== -1; ) {
      const { start, prefix } = batch.spans[span]!;
      context.unshift(...batch.tokens.subarray(start, end));
      positions.unshift(...batch.positions.subarray(start, end));
      span = prefix;
      end = prefix === -1 ? 0 : batch.spans[prefix]!.start + batch.spans[prefix]!.length;
    }
    return { sequence: batch.sequences[m]!, context, positions, target: batch.targets[m]! };
  });
}

test('every scored token sees exactly what it sees in a sequence of its own', () => {
  fc.assert(
    fc.property(groups, (groups) => {
      expect(walked(packGroups(groups))).toEqual(plainly(groups));
    }),
    { numRuns: 2000 },
  );
});

test('spans cover the tokens in order, prompts before what hangs on them, none empty', () => {
  fc.assert(
    fc.property(groups, (groups) => {
      const { spans, tokens, numSequences, completionTokens } = packGroups(groups);
      let end = 0;
      for (const [i, { start, length, prefix }] of spans.entries()) {
        expect(start).toBe(end);
        expect(length).toBeGreaterThan(0);
        expect(prefix).toBeLessThan(i);
        if (prefix !== -1) expect(spans[prefix]!.prefix).toBe(-1);
        end += length;
      }
      expect(end).toBe(tokens.length);
      expect([...completionTokens]).toEqual(groups.flatMap(({ completions }) => completions.map((ids) => ids.length)));
      expect(numSequences).toBe(completionTokens.length);
    }),
  );
});

test('a prompt takes its place once, and the last token of a completion none', () => {
  const prompt = Int32Array.of(1, 2, 3);
  const pair = { prompt, chosen: Int32Array.of(4, 5), rejected: Int32Array.of(6) };
  expect(pairTokens(pair)).toBe(4);
  expect(packPairs([pair])).toEqual({
    tokens: Int32Array.of(1, 2, 3, 4),
    positions: Int32Array.of(0, 1, 2, 3),
    spans: [
      { start: 0, length: 3, prefix: -1 },
      { start: 3, length: 1, prefix: 0 },
    ],
    rows: Int32Array.of(2, 3, 2),
    targets: Int32Array.of(4, 5, 6),
    sequences: Int32Array.of(0, 0, 1),
    numSequences: 2,
    completionTokens: Int32Array.of(2, 1),
  });
});

test('pairTokens counts what packing uses', () => {
  const pair = fc.record({ prompt: ids(0), chosen: ids(0), rejected: ids(0) });
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 4 }), (pairs) => {
      const tokens = pairs.reduce((sum, pair) => sum + pairTokens(pair), 0);
      expect(packPairs(pairs).tokens.length).toBe(tokens);
    }),
  );
});

test('a mask scores some tokens of a completion and reads the others', () => {
  const batch = packGroups([
    {
      prompt: Int32Array.of(1, 2),
      completions: [Int32Array.of(3, 4, 5), Int32Array.of(6, 7)],
      scored: [Uint8Array.of(0, 1, 1), undefined],
    },
    { prompt: Int32Array.of(), completions: [Int32Array.of(8, 9, 10)], scored: [Uint8Array.of(1, 0, 1)] },
  ]);
  expect([...batch.tokens]).toEqual([1, 2, 3, 4, 6, 8, 9]);
  expect([...batch.targets]).toEqual([4, 5, 6, 7, 10]);
  expect([...batch.rows]).toEqual([2, 3, 1, 4, 6]);
  expect([...batch.sequences]).toEqual([0, 0, 1, 1, 2]);
  expect([...batch.completionTokens]).toEqual([2, 2, 2]);
});
