// What others do to the files of a run while it goes on: it is noticed after the step, told, and nothing is lost.
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { UserError } from '#reanchor/errors.js';
import { listCheckpoints, type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-underneath-'));
afterAll(() => rmSync(folder, { recursive: true }));
const recipe = resumableRecipe(tinyModel, 'logEvery=1', 'checkpoint={ every: 3, keep: 9 }');
const whole = join(folder, 'whole');
beforeAll(async () => {
  await train({ recipe, out: whole, command: [] });
});

let runs = 0;
const newRun = () => join(folder, `run-${++runs}`);
const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;
const warningsOf = (out: string) => eventsOf(out).flatMap((event) => (event.type === 'warning' ? [event.message] : []));
const stepsOf = (out: string) => eventsOf(out).flatMap((event) => (event.type === 'step' ? [event.step] : []));

/** Trains in `out`; `act` is called once, when a step has been told. */
function trainWith(out: string, act: () => void, step = 4) {
  const onEvent = (event: RunEvent) => {
    if (event.type === 'step' && event.step === step) act();
  };
  return train({ recipe, out, command: [], onEvent });
}

/** The error of a run that ends with one. */
async function failureOf(run: Promise<unknown>): Promise<UserError> {
  const error = await run.then(
    () => expect.unreachable(),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  return error as UserError;
}

/** Brings the run in `out` to its end, and compares it with one that nobody has touched; warnings may differ. */
async function expectWhole(out: string): Promise<void> {
  const result = await train({ recipe, out, command: [], resume: true });
  expect(result.isFinished).toBe(true);
  const untold = ({ events, weights }: ReturnType<typeof outcome>) => ({
    events: events.filter((event) => !('type' in event && ['warning', 'failed'].includes(String(event.type)))),
    weights,
  });
  expect(untold(outcome(out))).toEqual(untold(outcome(whole)));
}

describe('a run whose folder is not where it was', () => {
  test('stops with a checkpoint in the place that it was moved to, and is gone on with there', async () => {
    const [out, moved] = [newRun(), newRun()];
    const error = await failureOf(trainWith(out, () => renameSync(out, moved)));
    expect(error.message).toBe(
      `the run folder ${out} was moved to ${moved} while the run went on. The run has stopped after step 4 with a checkpoint in ${moved}: to go on repeat the command with --out ${moved} --resume`,
    );
    expect(existsSync(out)).toBe(false);
    expect(listCheckpoints(join(moved, 'checkpoints')).map(({ step }) => step)).toEqual([3, 4]);
    expect(eventsOf(moved).at(-1)).toMatchObject({ type: 'failed', step: 4 });
    expect(existsSync(join(moved, 'run.lock'))).toBe(false);
    await expectWhole(moved);
  });

  test.each([
    ['with a folder above it', (out: string, moved: string) => renameSync(join(out, '..'), join(moved, '..'))],
    [
      'and another one is put in its place',
      (out: string, moved: string) => {
        mkdirSync(join(moved, '..'));
        renameSync(out, moved);
        mkdirSync(out);
      },
    ],
  ])('is found where it was moved %s', async (_how, move) => {
    const [out, moved] = [join(newRun(), 'run'), join(newRun(), 'run')];
    const { message } = await failureOf(trainWith(out, () => move(out, moved)));
    expect(message).toContain(`was moved to ${moved} while`);
    if (existsSync(out)) expect(readdirSync(out)).toEqual([]);
    await expectWhole(moved);
  });

  test.each([
    ['is deleted', (_out: string) => {}],
    ['is deleted, and another one is made', (out: string) => mkdirSync(out)],
    ['is deleted, and a file is made', (out: string) => writeFileSync(out, 'mine')],
  ])('is saved among the temporary files, with all its events, where it %s', async (_how, after) => {
    const out = newRun();
    const { message } = await failureOf(
      trainWith(out, () => {
        rmSync(out, { recursive: true });
        after(out);
      }),
    );
    const [, saved] =
      /was deleted, or is another one now while .* stopped after step 4 with a checkpoint in (\S+): /.exec(message)!;
    expect(saved!.startsWith(join(tmpdir(), `reanchor-run-${runs}-`))).toBe(true);
    expect(message).toContain(`--out ${saved} --resume`);
    expect(stepsOf(saved!)).toEqual([1, 2, 3, 4]);
    // What is there now is somebody else's.
    if (existsSync(out)) expect(readFileOrNames(out)).toEqual(_how.includes('file') ? 'mine' : []);
    await expectWhole(saved!);
    rmSync(saved!, { recursive: true });
  });

  test('is noticed when it is gone just before its model is saved', async () => {
    const [out, moved] = [newRun(), newRun()];
    const { message } = await failureOf(trainWith(out, () => renameSync(out, moved), 8));
    expect(message).toContain('stopped after step 8');
    await expectWhole(moved);
  });

  test('goes on where it was moved away and back, or a copy is put in its place', async () => {
    const [out, moved] = [newRun(), newRun()];
    await trainWith(out, () => {
      cpSync(out, moved, { recursive: true, preserveTimestamps: true });
      renameSync(out, `${out}.old`);
      renameSync(moved, out);
    });
    expect(stepsOf(out)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await expectWhole(out);
  });
});

const readFileOrNames = (path: string) => {
  try {
    return readdirSync(path);
  } catch {
    return readFileSync(path, 'utf8');
  }
};

describe('events.jsonl', () => {
  test('that is deleted is put back whole', async () => {
    const out = newRun();
    await trainWith(out, () => unlinkSync(join(out, 'events.jsonl')));
    expect(warningsOf(out)).toEqual([
      'events.jsonl was deleted, or moved, by another process: it is there again with all its events',
    ]);
    expect(stepsOf(out)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await expectWhole(out);
  });

  test('that is replaced is put back whole, and what took its place is kept', async () => {
    const out = newRun();
    const events = join(out, 'events.jsonl');
    await trainWith(out, () => {
      writeFileSync(`${events}.new`, 'mine\n');
      renameSync(`${events}.new`, events);
    });
    expect(warningsOf(out)).toEqual([
      `events.jsonl was replaced by another process: it is there again with all its events, and what was in its place is now ${events}.replaced-1`,
    ]);
    expect(readFileSync(`${events}.replaced-1`, 'utf8')).toBe('mine\n');
    expect(stepsOf(out)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await expectWhole(out);
  });

  test.each([
    ['to nothing', 0, []],
    ['in the middle of a line', 10, []],
    ['in a later line', -10, [1, 2, 3]],
  ])('that is cut %s goes on with whole lines', async (_how, bytes, kept) => {
    const out = newRun();
    const events = join(out, 'events.jsonl');
    await trainWith(out, () => truncateSync(events, bytes < 0 ? readFileSync(events).length + bytes : bytes));
    expect(warningsOf(out)).toEqual([
      expect.stringMatching(
        /^events\.jsonl was cut by another process from \d+ to \d+ bytes: the events that were there are lost/,
      ),
    ]);
    expect(stepsOf(out)).toEqual([...kept, 5, 6, 7, 8]);
    expect(outcome(out).weights).toEqual(outcome(whole).weights);
  });

  test('that was cut and has grown again is cut at a whole line by a resume, and tells no step twice', async () => {
    const out = newRun();
    const events = join(out, 'events.jsonl');
    await trainWith(out, () => truncateSync(events, 0));
    for (const { step, path } of listCheckpoints(join(out, 'checkpoints'))) {
      if (step > 3) rmSync(path, { recursive: true });
    }
    rmSync(join(out, 'final'), { recursive: true });
    await train({ recipe, out, command: [], resume: true });
    expect(stepsOf(out)).toEqual([4, 5, 6, 7, 8]);
    expect(outcome(out).weights).toEqual(outcome(whole).weights);
  });

  test('into which others write keeps its own lines whole', async () => {
    const out = newRun();
    await trainWith(out, () => appendFileSync(join(out, 'events.jsonl'), 'a note'));
    const lines = readFileSync(join(out, 'events.jsonl'), 'utf8').split('\n');
    expect(lines.filter((line) => !line.startsWith('{'))).toEqual(['a note', '']);
    expect(lines.some((line) => line.includes('another process has written 6 bytes into events.jsonl'))).toBe(true);
  });
});

describe('a final/ that is not whole', () => {
  const copied = () => {
    const out = newRun();
    cpSync(whole, out, { recursive: true });
    return out;
  };
  const told = async (out: string) => {
    const events: RunEvent[] = [];
    await train({ recipe, out, command: [], resume: true, onEvent: (event) => events.push(event) });
    return events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  };

  test('because it is empty is filled by a resume', async () => {
    const out = copied();
    rmSync(join(out, 'final'), { recursive: true });
    mkdirSync(join(out, 'final'));
    expect(await told(out)).toEqual([]);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test.each([
    ['weights are missing', (final: string) => unlinkSync(join(final, 'model.safetensors')), /has no weights/],
    ['weights are cut', (final: string) => truncateSync(join(final, 'model.safetensors'), 5000), /model\.safetensors/],
    ['config.json is cut', (final: string) => truncateSync(join(final, 'config.json'), 20), /config\.json.* not JSON/],
    [
      'the tokenizer is missing',
      (final: string) => unlinkSync(join(final, 'tokenizer.json')),
      /tokenizer\.json does not exist/,
    ],
    [
      'a file that was saved is missing',
      (final: string) => unlinkSync(join(final, 'tokenizer_config.json')),
      /tokenizer_config\.json is missing/,
    ],
    [
      'a file that was saved is empty',
      (final: string) => truncateSync(join(final, 'README.md'), 0),
      /README\.md is empty/,
    ],
    [
      'it is a file',
      (final: string) => {
        rmSync(final, { recursive: true });
        writeFileSync(final, 'x');
      },
      /final/,
    ],
  ])('because %s is set aside, and the run goes on from its last checkpoint', async (_why, damage, flaw) => {
    const out = copied();
    damage(join(out, 'final'));
    const [warning, ...others] = await told(out);
    expect(others).toEqual([]);
    expect(warning).toMatch(
      /^the model in \S+ is not whole \(.*\); it is now \S+\.damaged-1, and the run goes on from step-000006$/,
    );
    expect(warning).toMatch(flaw);
    expect(existsSync(join(out, 'final.damaged-1'))).toBe(true);
    expect(outcome(out).weights).toEqual(outcome(whole).weights);
  });

  test('is left where it is if there is no checkpoint to go on from', async () => {
    const out = copied();
    rmSync(join(out, 'checkpoints'), { recursive: true });
    unlinkSync(join(out, 'final/config.json'));
    const { message } = await failureOf(train({ recipe, out, command: [], resume: true }));
    expect(message).toMatch(
      /final is not whole \(.*config\.json does not exist.*\): bring its files back\. Otherwise: .*cut off before its first checkpoint/,
    );
    copyFileSync(join(whole, 'final/config.json'), join(out, 'final/config.json'));
    const again = await train({ recipe, out, command: [], resume: true });
    expect(again.isFinished).toBe(true);
  });

  test('is whole if it was copied by hand, its card was changed, or it is a link; without events too', async () => {
    const out = copied();
    renameSync(join(out, 'final'), join(out, 'elsewhere'));
    symlinkSync(join(out, 'elsewhere'), join(out, 'final'));
    writeFileSync(join(out, 'final/README.md'), 'mine');
    unlinkSync(join(out, 'events.jsonl'));
    const events: RunEvent[] = [];
    const result = await train({ recipe, out, command: [], resume: true, onEvent: (event) => events.push(event) });
    expect([result.isFinished, events]).toEqual([true, []]);
    expect(readFileSync(join(out, 'final/README.md'), 'utf8')).toBe('mine');
  });
});

describe.skipIf(process.getuid?.() === 0)('a run whose folder may not be written any more', () => {
  test('is saved among the temporary files', async () => {
    const out = newRun();
    try {
      const { message } = await failureOf(trainWith(out, () => chmodSync(out, 0o500)));
      expect(message).toMatch(/no permission \(EACCES\).* with a checkpoint in \S+: to go on repeat/);
    } finally {
      chmodSync(out, 0o700);
    }
  });
});
