// 20 kills -9 of a sweep and of its processes, stages among them; and Ctrl-C.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { startCommand } from '../../../../tests/support/command.js';
import { killedStudy, killSweep } from '../../../../tests/support/sweep-kills.js';
import { uniforms } from '../random.js';
import { readStudy } from './study.js';
import { sweep } from './sweep.js';

const folder = mkdtempSync(join(tmpdir(), 'sweep-kills-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('killed 20 times, sweeps come to the bytes of one that was not', { timeout: 1_200_000 }, async () => {
  const file = killedStudy(folder, [1, 2, 3]);
  const study = await readStudy(file);
  await sweep({ study, out: join(folder, 'whole'), jobs: 2 });
  const random = uniforms(20);
  const kills = { sweep: 0, process: 0, ended: 0 };
  for (let n = 0; kills.sweep + kills.process < 20; n++) {
    const out = join(folder, `killed-${n}`);
    for (let outcome = ''; outcome !== 'ended' && kills.sweep + kills.process < 20; ) {
      outcome = await killSweep(file, out, { ms: 6000 * random(), isChild: random() < 0.5 });
      kills[outcome as keyof typeof kills] += 1;
    }
    expect(await sweep({ study, out, jobs: 2 })).toMatchObject({ failed: [], left: 0 });
    expect(readFileSync(join(out, 'results.jsonl'))).toEqual(readFileSync(join(folder, 'whole/results.jsonl')));
  }
  console.log(kills);
  expect(kills.process).toBeGreaterThan(3);
});

test('Ctrl-C ends a sweep with checkpoints and code 130; the same command finishes it', async () => {
  const file = killedStudy(folder, [7]);
  const out = join(folder, 'stopped');
  const first = startCommand(['sweep', file, '--out', out]);
  await expect.poll(() => existsSync(join(out, 'runs/dpo/beta=0.1/seed-7/checkpoints')), { interval: 10 }).toBe(true);
  first.child.kill('SIGINT');
  const stopped = await first.ended;
  expect(stopped).toMatchObject({ code: 130, signal: null });
  expect(stopped.stderr).toContain('stopping, with checkpoints');
  expect(stopped.stderr).toContain('1 run is not done; the same command goes on from here');
  expect(await startCommand(['sweep', file, '--out', out]).ended).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('dpo'),
  });
});
