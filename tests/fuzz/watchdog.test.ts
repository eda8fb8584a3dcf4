// The watchdog itself: that it sees what it is there for.
import { expect, test } from 'vitest';
import { fuzz } from './drive.js';

test.each([
  ['hangs', 2, 'hang'],
  ['ends', 1, 'crash'],
  ['grows', 3, 'memory'],
  ['throws', 0, 'error'],
] as const)('a reader that %s at input %i is found out, and the others are read', async (reader, index, kind) => {
  const result = await fuzz({
    reader,
    inputs: 5,
    seed: 1,
    limitMs: 600,
    limitBytes: 400 << 20,
    table: 'broken-readers.ts',
  });
  expect(result.findings.map((finding) => [finding.index, finding.kind])).toEqual([[index, kind]]);
});
