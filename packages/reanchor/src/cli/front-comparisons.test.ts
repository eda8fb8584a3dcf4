// The short comparisons that end a sweep; those of a real one are in sweep/sweep.test.ts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { front } from '../eval/front/front.js';
import { printShortComparisons } from './front-comparisons.js';
import { Terminal } from './terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'front-comparisons-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What is printed of two arms of so many betas and seeds, and whether anything is. */
async function printed({ betas, seeds }: { betas: number; seeds: number }) {
  const file = join(folder, 'results.jsonl');
  const counted = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  const rows = ['dpo', 'hard'].flatMap((arm) =>
    counted(betas).flatMap((beta) =>
      counted(seeds).flatMap((seed) =>
        [0, 10, 20].map((step) => {
          const gold = (arm === 'hard' ? 2 : 1) * step + beta + seed * (arm === 'hard' ? 1 : 2);
          const scores = { gold: { mean: gold, se: 0.1 } };
          return { arm, key: { 'loss.beta': beta }, seed, step, scores, kl: { mean: step / beta, se: 0.1 } };
        }),
      ),
    ),
  );
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const result = await front({ runs: [{ name: file, file }], kl: 'kl', quality: 'gold' });
  const written = { stdout: '', stderr: '' };
  const stdout = { write: (text: string) => (written.stdout += text) };
  const stderr = { write: (text: string) => (written.stderr += text) };
  const isPrinted = printShortComparisons(result, 'gold', new Terminal({ stdout, stderr, env: {} }));
  return { ...written, isPrinted, lines: written.stdout.trim().split('\n') };
}

test('two arms of two seeds are compared by their bests and ends', async () => {
  const { lines, stderr, isPrinted } = await printed({ betas: 1, seeds: 2 });
  expect(isPrinted).toBe(true);
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    [expect.stringMatching(/^differences in gold; Holm's p holds for all 7 that eval front tests$/)],
    ['arms', 'way', 'KL', 'difference', '95 % interval', 'Holm', 'seeds'],
    // 2 * 20 - 20 less 1 and 2 of the seeds: 18.5, and Student's interval of two.
    ['hard against dpo', 'best', '20.0000', '+18.5000', '12.1469 to 24.8531', expect.any(String), '2'],
    ['hard against dpo', 'end', '20.0000', '+18.5000', '12.1469 to 24.8531', expect.any(String), '2'],
  ]);
  expect(stderr).toBe('');
});

test('a seed says nothing, and of many pairs the first ones are told', async () => {
  expect(await printed({ betas: 2, seeds: 1 })).toMatchObject({ isPrinted: false, stdout: '' });
  const { lines, stderr } = await printed({ betas: 4, seeds: 3 });
  expect(new Set(lines.slice(2).map((line) => line.split('  ')[0]))).toHaveLength(12);
  expect(stderr).toMatch(/^and \d+ more pairs of settings\n$/);
});
