// Sweeps that are asked to end: by a signal, by their hours.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ManualClock } from '../../../../tests/support/manual-clock.js';
import { killedStudy } from '../../../../tests/support/sweep-kills.js';
import { readStudy } from './study.js';
import { type SweepOptions, sweep } from './sweep.js';

const folder = mkdtempSync(join(tmpdir(), 'sweep-stops-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('stopped, and out of its hours, a sweep ends with checkpoints and goes on from them', {
  timeout: 180_000,
}, async () => {
  const study = await readStudy(killedStudy(folder, [1]));
  const out = join(folder, 'stopped');
  const run = join(out, 'runs/dpo/beta=0.1/seed-1');
  /** Hears when the run has come to a share. */
  const at = (share: number, act: () => void): SweepOptions['onChange'] => {
    return ({ running }) => {
      for (const [{ title }, now] of running) if (title.startsWith('dpo') && now >= share) act();
    };
  };
  const stop = new AbortController();
  const onChange = at(0.1, () => stop.abort(new Error('enough')));
  expect(await sweep({ study, out, signal: stop.signal, onChange })).toMatchObject({ failed: [], left: 1, rows: [] });
  expect(readdirSync(join(run, 'checkpoints')).length).toBeGreaterThan(0);
  expect(existsSync(join(out, 'run.lock'))).toBe(false);

  const clock = new ManualClock();
  const hours = { hours: 2, clock, onChange: at(0.5, () => clock.advance(7_200_000)) };
  expect(await sweep({ study, out, ...hours })).toMatchObject({ failed: [], left: 1, made: 0 });
  expect(await sweep({ study, out })).toMatchObject({ failed: [], left: 0, made: 1 });
  // It was one run all along.
  const events = readFileSync(join(run, 'events.jsonl'), 'utf8');
  expect(events.match(/"type":"resumed"/g)).toHaveLength(2);
  const whole = join(folder, 'whole');
  await sweep({ study, out: whole });
  expect(readFileSync(join(out, 'results.jsonl'))).toEqual(readFileSync(join(whole, 'results.jsonl')));
});
