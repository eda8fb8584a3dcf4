// A disk that fills up at any moment of a run: what was saved before can be loaded, the message says what to do, and
// with more space the run goes on to the same bits. Needs a small file system of its own, which root may mount.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { UserError } from '#reanchor/errors.js';
import { listCheckpoints, type RunEvent, readEvents, verifyCheckpoint } from '#reanchor/runs/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-full-'));
const disk = join(folder, 'disk');
mkdirSync(disk);

function mount(...options: string[]): boolean {
  try {
    execFileSync('mount', [...options, disk], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const canMount = process.platform === 'linux' && mount('-t', 'tmpfs', '-o', 'size=4m', 'tmpfs');
const resize = (kilobytes: number) => execFileSync('mount', ['-o', `remount,size=${kilobytes}k`, disk]);

const recipe = resumableRecipe(
  tinyModel,
  'checkpoint={ every: 2, keep: 3 }',
  'logEvery=1',
  'reference={ update: soft, alpha: 0.5 }',
);
const whole = join(folder, 'whole');
beforeAll(async () => {
  await train({ recipe, out: whole, command: [] });
});
afterAll(() => {
  if (canMount) execFileSync('umount', [disk]);
  rmSync(folder, { recursive: true });
});

/** How far a run came on a disk of this size, after its checkpoints were looked at and it was brought to its end. */
async function stageOn(kilobytes: number): Promise<string> {
  const out = join(disk, 'run');
  rmSync(out, { recursive: true, force: true });
  // The look ahead finds room, which others then take.
  resize(8000);
  const onEvent = ({ type }: RunEvent) => {
    if (type === 'start') resize(kilobytes);
  };
  const error = await train({ recipe, out, command: [], onEvent }).then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  if (error === undefined) return 'finished';
  expect(error).toBeInstanceOf(UserError);
  expect(error.message).toMatch(/the disk is full \(ENOSPC\)/);
  const [, rescue] = /The model is saved in (\S+) instead/.exec(error.message) ?? [];
  if (rescue) rmSync(rescue, { recursive: true });
  if (existsSync(join(out, 'events.jsonl'))) expect(readEvents(join(out, 'events.jsonl')).tornLine).toBeUndefined();
  const checkpoints = listCheckpoints(join(out, 'checkpoints'));
  for (const { path } of checkpoints) await verifyCheckpoint(path);
  if (checkpoints.length === 0) return 'no checkpoint';
  expect(error.message).toMatch(
    /The checkpoints in .* take: step-000002 \d\.\d MB.*free some space and repeat .* --resume/,
  );
  resize(8000);
  await train({ recipe, out, command: [], resume: true });
  expect(outcome(out)).toEqual(outcome(whole));
  return rescue ? 'model rescued' : `after ${checkpoints.length} checkpoints`;
}

test.skipIf(!canMount)('a disk without room for model and checkpoints is seen before anything is written', async () => {
  resize(1000);
  const out = join(disk, 'early');
  await expect(train({ recipe, out, command: [] })).rejects.toThrow(
    /needs 2\.\d\d MB, but the disk of .* has 1\.\d\d MB free/,
  );
  expect(existsSync(out)).toBe(false);
});

test.skipIf(!canMount)('a run on a disk that has become read-only says so', async () => {
  resize(8000);
  const out = join(disk, 'fixed');
  const stop = ({ type }: RunEvent) => {
    if (type === 'checkpoint') throw new Error('stopped');
  };
  await expect(train({ recipe, out, command: [], onEvent: stop })).rejects.toThrow('stopped');
  execFileSync('mount', ['-o', 'remount,ro', disk]);
  try {
    for (const resume of [true, false]) {
      const run = train({ recipe, out: resume ? out : join(disk, 'new'), command: [], resume });
      await expect(run).rejects.toThrow(/the file system is read-only \(EROFS\): write to another folder/);
      await expect(run).rejects.toBeInstanceOf(UserError);
    }
  } finally {
    execFileSync('mount', ['-o', 'remount,rw', disk]);
  }
  await train({ recipe, out, command: [], resume: true });
  expect(outcome(out)).toEqual(outcome(whole));
  rmSync(out, { recursive: true });
});

test.skipIf(!canMount)('a disk that is full at any write loses nothing that was saved', async () => {
  const stages = new Map<string, number>();
  for (let kilobytes = 32; kilobytes < 3000; kilobytes += 36) {
    const stage = await stageOn(kilobytes);
    stages.set(stage, (stages.get(stage) ?? 0) + 1);
    if (stage === 'finished') break;
  }
  console.log([...stages].map(([stage, n]) => `${stage}: ${n}`).join('; '));
  for (const stage of [
    'no checkpoint',
    'after 1 checkpoints',
    'after 2 checkpoints',
    'after 3 checkpoints',
    'finished',
  ])
    expect([...stages.keys()]).toContain(stage);
});

test.skipIf(!canMount)(
  'a checkpoint by time that finds no room is left out, and the run comes to its end',
  async () => {
    const timed = resumableRecipe(
      tinyModel,
      'checkpoint.every=1h',
      'logEvery=1',
      'reference={ update: soft, alpha: 0.4 }',
    );
    rmSync(join(disk, 'run'), { recursive: true, force: true });
    const out = join(disk, 'timed');
    const clock = new ManualClock();
    resize(8000);
    const onEvent = ({ type }: RunEvent) => {
      if (type === 'start') resize(500);
      if (type === 'step') clock.advance(3_600_000);
    };
    const result = await train({ recipe: timed, out, command: [], onEvent, clock });
    expect(result.isFinished).toBe(true);
    const { events } = readEvents(join(out, 'events.jsonl'));
    const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    expect(warnings).toHaveLength(8);
    expect(warnings[0]).toMatch(
      /^there is no checkpoint after step 1: .*the disk is full \(ENOSPC\).*The run goes on without$/,
    );
    expect(listCheckpoints(join(out, 'checkpoints'))).toEqual([]);
    rmSync(out, { recursive: true });
  },
);
