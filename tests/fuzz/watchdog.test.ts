// The watchdog itself: that it sees what it is there for.
import { expect, test } from 'vitest';
import { fuzz } from './drive.js';

test.each([
  ['hangs', 2, 'hang', 600],
  ['ends', 1, 'crash', 10_000],
  ['grows', 3, 'memory', 10_000],
  ['throws', 0, 'error', 10_000],
] as const)(
  'a reader that %s at input %i is found out, and the others are read',
  async (reader, index, kind, limitMs) => {
    const result = await fuzz({
      reader,
      inputs: 5,
      seed: 1,
      limitMs,
      limitBytes: 400 << 20,
      table: 'broken-readers.ts',
    });
    expect(result.findings.map((finding) => [finding.index, finding.kind])).toEqual([[index, kind]]);
  },
);
