// Sweeps that are killed, stopped by a signal, and out of their hours: another call comes to the same bytes.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ManualClock } from '../../../../tests/support/manual-clock.js';
import { killedStudy, killSweep } from '../../../../tests/support/sweep-kills.js';
import { uniforms } from '../random.js';
import { readStudy, type Study } from './study.js';
import { type SweepOptions, sweep } from './sweep.js';

const folder = mkdtempSync(join(tmpdir(), 'sweep-interrupted-'));
afterAll(() => rmSync(folder, { recursive: true }));

const limit = { timeout: 180_000 };
const file = killedStudy(folder, [1]);
const results = (name: string) => readFileSync(join(folder, name, 'results.jsonl'), 'utf8');
let study: Study;
beforeAll(async () => {
  study = await readStudy(file);
  await sweep({ study, out: join(folder, 'whole') });
});

test('kill -9 of a sweep and of its processes, at three moments', limit, async () => {
  const out = join(folder, 'killed');
  const random = uniforms(3);
  for (const isChild of [false, true, false]) await killSweep(file, out, { ms: 3000 * random(), isChild });
  expect(await sweep({ study, out })).toMatchObject({ failed: [], left: 0 });
  expect(results('killed')).toBe(results('whole'));
});

test('a signal, and hours that are over, end runs with checkpoints, from which they go on', limit, async () => {
  const out = join(folder, 'stopped');
  const run = join(out, 'runs/dpo/beta=0.1/seed-1');
  /** Acts when the run has come to a share. */
  const at = (share: number, act: () => void): SweepOptions['onChange'] => {
    return ({ running }) => {
      for (const [{ title }, now] of running) if (title.startsWith('dpo') && now >= share) act();
    };
  };
  const stop = new AbortController();
  const onChange = at(0.1, () => stop.abort(new Error('enough')));
  expect(await sweep({ study, out, signal: stop.signal, onChange })).toMatchObject({ failed: [], left: 1, rows: [] });
  expect(readdirSync(join(run, 'checkpoints')).length).toBeGreaterThan(0);
  expect(readdirSync(out)).not.toContain('run.lock');

  const clock = new ManualClock();
  const hours = { hours: 2, clock, onChange: at(0.5, () => clock.advance(7_200_000)) };
  expect(await sweep({ study, out, ...hours })).toMatchObject({ failed: [], left: 1, made: 0 });
  expect(await sweep({ study, out })).toMatchObject({ failed: [], left: 0, made: 1 });
  // It was one run all along.
  expect(readFileSync(join(run, 'events.jsonl'), 'utf8').match(/"type":"resumed"/g)).toHaveLength(2);
  expect(results('stopped')).toBe(results('whole'));
});
