// A campaign that is small enough for every run of the tests; fuzz.slow.test.ts is fifty times as long.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { processorMs } from '../support/processor-time.js';
import { fuzz } from './drive.js';
import { readOne } from './reader.js';
import { allInputs, campaign, inputOf, readers } from './readers.js';

const folder = mkdtempSync(join(tmpdir(), 'fuzz-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Readers whose mistakes could end the process that reads; they are read in one of their own. */
const apart = ['tokenizer', 'template', 'parquet'];

describe('2,000 broken inputs are read, or refused with a message that says where', () => {
  const parts = campaign(2000);

  test.each(parts.filter(({ reader }) => !apart.includes(reader)))('$inputs of $reader', async ({ reader, inputs }) => {
    const { prepare } = readers[reader]!;
    await prepare?.();
    const own = join(folder, reader);
    mkdirSync(own);
    let refused = 0;
    for (let index = 0; index < inputs; index++) {
      // Processor time: a busy machine does not make a reader slow.
      const begin = processorMs();
      const why = await readOne(readers[reader]!, inputOf(reader, 2, index), own).catch((cause: Error) => {
        throw new Error(`npx tsx scripts/fuzz.ts --reader ${reader} --seed 2 --show ${index}: ${cause.stack}`);
      });
      if (why !== undefined) refused++;
      expect(processorMs() - begin, `input ${index}`).toBeLessThan(2000);
    }
    // Most mutations break something, so a reader that refuses nothing was not reached.
    if (inputs > 40 && !['judge', 'terminal'].includes(reader)) expect(refused).toBeGreaterThan(inputs / 10);
  });

  test.each(parts.filter(({ reader }) => apart.includes(reader)))('$inputs of $reader, apart', async (part) => {
    const { findings, refused } = await fuzz({ ...part, seed: 2 });
    expect(findings).toEqual([]);
    expect(refused).toBeGreaterThan(part.inputs / 10);
  });
});

test('every reader has whole inputs, the same input for the same seed, and another for another', () => {
  expect(Object.keys(allInputs)).toEqual(Object.keys(readers));
  for (const reader of Object.keys(readers)) {
    const first = allInputs[reader]!().length;
    const some = (seed: number) => [0, 1, 2].map((i) => inputOf(reader, seed, first + i).toString('hex'));
    expect(some(1), reader).toEqual(some(1));
    expect(some(1), reader).not.toEqual(some(2));
  }
});
