import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fixtures } from '../../../../tests/support/repository.js';
import { Float } from './exact-json.js';
import { readParquet } from './parquet.js';

const rowOf = async (exactNumbers: boolean) => {
  const { value } = (await readParquet(join(fixtures, 'parquet/nested.parquet'), { exactNumbers }).next()) as {
    value: { value: unknown };
  };
  return value.value;
};
const at = new Date('2024-05-17T12:00:00Z');

test('numbers are those of Python where they are asked for: floats by the schema, integers without loss', async () => {
  const call = { name: 'f', arguments: { x: new Float(2), n: 2n ** 60n } };
  expect(await rowOf(true)).toEqual({
    messages: [
      { role: 'user', content: 'q', at, tool_calls: undefined },
      { role: 'assistant', content: 'a', at, tool_calls: [call] },
    ],
    label: new Float(1),
    sizes: { a: new Float(3) },
  });
});

test('else they are plain, and integers that no number holds are text', async () => {
  expect(await rowOf(false)).toMatchObject({
    messages: [{}, { tool_calls: [{ arguments: { x: 2, n: String(2n ** 60n) } }] }],
    label: 1,
    sizes: { a: 3 },
  });
});
