// What a run says of rows that can be trained on but are probably not meant so.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { readEvents } from '#reanchor/runs/index.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-data-warnings-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

function fileOf(rows: readonly object[]): string {
  const file = join(folder, `rows-${count++}.jsonl`);
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return file;
}

async function warningsOf(method: string, data: string): Promise<string> {
  const recipe = parseRecipe(
    `{ model: ${tinyModel}, method: ${method}, batch: { size: 4 }, steps: 1, data: ${data} }`,
    {
      file: 'test.yaml',
      env: {},
    },
  );
  const { folder: run } = await train({ recipe, out: join(folder, `run-${count++}`), command: [] });
  const { events } = readEvents(join(run, 'events.jsonl'));
  return events.flatMap((event) => (event.type === 'warning' ? [event.message] : [])).join('\n');
}

const pairs = Array.from({ length: 8 }, (_, i) => ({ prompt: `a ${i}`, chosen: ` good ${i}`, rejected: ` bad ${i}` }));

describe('rows of the validation that are trained on', () => {
  test('are found by their tokens, in whatever file they stand', async () => {
    const found = await warningsOf('dpo', `{ train: ${fileOf(pairs)}, validation: ${fileOf([...pairs].reverse())} }`);
    expect(found).toContain('8 of the 8 rows of data.validation are trained on as well');
  });

  test('are found where a file has rows several times and some are held out', async () => {
    const found = await warningsOf('dpo', `{ train: ${fileOf([...pairs, ...pairs, ...pairs])}, validation: 6 }`);
    expect(found).toMatch(/[3-6] of the 6 rows of data.validation are trained on as well/);
  });

  test('are none where texts differ', async () => {
    const others = pairs.map((pair) => ({ ...pair, chosen: `${pair.chosen}!` }));
    const found = await warningsOf('dpo', `{ train: ${fileOf(pairs)}, validation: ${fileOf(others)} }`);
    expect(found).not.toContain('trained on as well');
  });
});

describe('KTO', () => {
  const examples = (label: (i: number) => boolean) =>
    Array.from({ length: 6 }, (_, i) => ({ prompt: `p${i}`, completion: ` c${i}`, label: label(i) }));

  test.each([
    [true, /all 6 rows are desirable \(label true\): KTO learns from both, so add undesirable ones/],
    [false, /all 6 rows are undesirable \(label false\): KTO learns from both, so add desirable ones/],
  ])('with one label alone says so: %s', async (label, message) => {
    expect(await warningsOf('kto', `{ train: ${fileOf(examples(() => label))} }`)).toMatch(message);
  });

  test('with both does not', async () => {
    expect(await warningsOf('kto', `{ train: ${fileOf(examples((i) => i === 0))} }`)).not.toContain('KTO learns');
  });
});

test('columns that are not read are told of by a run', async () => {
  const rows = pairs.map((pair) => ({ ...pair, id: 1, persona: 'x' }));
  const found = await warningsOf('dpo', `{ train: ${fileOf(rows)} }`);
  expect(found).toMatch(/the column "persona" of its rows is not read/);
  expect(found).not.toContain('"id"');
});
