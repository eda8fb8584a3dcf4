// kill -9 of a sweep and of its processes: whatever is cut off, another call comes to the same bytes.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { killedStudy, killSweep } from '../../../../tests/support/sweep-kills.js';
import { uniforms } from '../random.js';
import { readStudy } from './study.js';
import { sweep } from './sweep.js';

const folder = mkdtempSync(join(tmpdir(), 'sweep-kills-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('killed at three moments, a sweep comes to the bytes of one that was not', { timeout: 180_000 }, async () => {
  const file = killedStudy(folder, [1]);
  const study = await readStudy(file);
  const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
  await sweep({ study, out: whole });
  const random = uniforms(3);
  for (const isChild of [false, true, false]) await killSweep(file, killed, { ms: 3000 * random(), isChild });
  expect(await sweep({ study, out: killed })).toMatchObject({ failed: [], left: 0 });
  expect(readFileSync(join(killed, 'results.jsonl'))).toEqual(readFileSync(join(whole, 'results.jsonl')));
});
