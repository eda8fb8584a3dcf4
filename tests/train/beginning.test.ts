// Runs that end before their first step, or that fail outside of their steps: what they tell, and how --resume begins
// them.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import type { Recipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents, readRun } from '#reanchor/runs/index.js';
import { Library } from '#reanchor/serve/library.js';
import { ServedFolder } from '#reanchor/serve/served-folder.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-beginning-'));
afterAll(() => rmSync(folder, { recursive: true }));
const recipe = (...set: string[]) => resumableRecipe(tinyModel, 'logEvery=1', ...set);
const whole = join(folder, 'whole');
beforeAll(async () => {
  await train({ recipe: recipe(), out: whole, command: [] });
});

const eventsOf = (out: string) => readEvents(join(out, 'events.jsonl')).events;
const statusOf = async (out: string) => {
  const { runs } = await new Library(await ServedFolder.at(out)).list();
  return runs[0]!.status;
};
const resume = (out: string, changed: Recipe = recipe(), command: string[] = []) =>
  train({ recipe: changed, out, command, resume: true });

const reason = new Error('enough');
/** What stops a run as soon as it has told how large it is. */
function stopping() {
  const abort = new AbortController();
  return { signal: abort.signal, onEvent: ({ type }: RunEvent) => type === 'start' && abort.abort(reason) };
}

/** Begins a run that is stopped as soon as it has told how large it is. */
async function stoppedAtOnce(out: string): Promise<void> {
  await expect(train({ recipe: recipe(), out, command: ['first'], ...stopping() })).rejects.toBe(reason);
}

describe('a run that is stopped before its first step', () => {
  test('says that it has ended, and begins anew with --resume', async () => {
    const out = join(folder, 'stopped');
    await stoppedAtOnce(out);
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'end', steps: 0 });
    expect(await statusOf(out)).toBe('interrupted');
    const before = readRun(out).run.time;
    const result = await resume(out, recipe(), ['second']);
    expect(result.isFinished).toBe(true);
    expect(outcome(out)).toEqual(outcome(whole));
    expect(eventsOf(out).filter(({ type }) => type === 'resumed')).toMatchObject([{ step: 0, steps: 8 }]);
    const { run } = readRun(out);
    expect([run.command, run.time > before]).toEqual([['second'], true]);
    expect(readFileSync(join(out, 'superseded.jsonl'), 'utf8')).toMatch(/"type":"start".*"type":"end"/s);
    expect(readdirSync(out).sort()).toEqual(['events.jsonl', 'final', 'run.json', 'superseded.jsonl']);
  });

  test('is begun anew as often as it takes', async () => {
    const out = join(folder, 'stopped-again');
    await stoppedAtOnce(out);
    const again = train({ recipe: recipe(), out, command: [], resume: true, ...stopping() });
    await expect(again).rejects.toBe(reason);
    await resume(out);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test('and whose process was killed, so that its events may be cut off, too', async () => {
    const out = join(folder, 'killed');
    await stoppedAtOnce(out);
    const lines = readFileSync(join(out, 'events.jsonl'), 'utf8').split('\n').slice(0, -2).join('\n');
    writeFileSync(join(out, 'events.jsonl'), `${lines}\n{"time":"20`);
    await resume(out);
    expect(outcome(out)).toEqual(outcome(whole));
    rmSync(join(out, 'final'), { recursive: true });
    rmSync(join(out, 'events.jsonl'));
    await resume(out);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test.each([
    ['its folder was made', () => {}],
    ['anything was written into its folder', (out: string) => mkdirSync(out)],
  ])('before %s begins there', async (when, prepare) => {
    const out = join(folder, when.replaceAll(' ', '-'));
    prepare(out);
    await resume(out);
    expect(outcome(out)).toEqual(outcome(whole));
    expect(eventsOf(out).map(({ type }) => type)).not.toContain('resumed');
  });

  test('keeps its recipe, and its events where steps were made', async () => {
    const out = join(folder, 'kept');
    await stoppedAtOnce(out);
    await expect(resume(out, recipe('loss.beta=0.2'))).rejects.toThrow('loss.beta: 0.1 -> 0.2');
    writeFileSync(join(out, 'events.jsonl'), readFileSync(join(whole, 'events.jsonl')));
    await expect(resume(out)).rejects.toThrow(/cut off before its first checkpoint.*start the run anew/);
    expect(existsSync(join(out, 'superseded.jsonl'))).toBe(false);
  });
});

test('a run that code began has no command, and its errors tell code how to resume it', async () => {
  const out = join(folder, 'from-code');
  const abort = new AbortController();
  const onEvent = (event: RunEvent) => event.type === 'step' && event.step === 2 && abort.abort();
  const { final } = await train({ recipe: recipe(), out, onEvent, signal: abort.signal });
  expect(readRun(out).run.command).toBeUndefined();
  rmSync(final, { recursive: true });
  const again = train({ recipe: recipe(), out, resume: true });
  await expect(again).rejects.toThrow(/start the run anew, without resume: true and in another folder/);
});

describe('a run that fails outside of its steps says so in its events', () => {
  const failureOf = async (out: string, set: string[], onEvent: (event: RunEvent) => void = () => {}) => {
    const failing = train({ recipe: recipe(...set), out, command: [], onEvent });
    const { message } = await failing.then(
      () => expect.unreachable(),
      (error: Error) => error,
    );
    expect(eventsOf(out).at(-1)).toMatchObject({ type: 'failed', message });
    expect(await statusOf(out)).toBe('failed');
    return { message, step: (eventsOf(out).at(-1) as RunEvent & { type: 'failed' }).step };
  };

  test('in its first evaluation', async () => {
    const set = ['evaluate.every=1', 'checkpoint={ every: 1, best: accuracy }'];
    expect(await failureOf(join(folder, 'evaluation'), set)).toEqual({
      step: 0,
      message: expect.stringContaining('no metric accuracy'),
    });
  });

  test('in saving its model', async () => {
    const out = join(folder, 'saving');
    const inItsPlace = (event: RunEvent) => {
      if (event.type === 'step' && event.step === 8) mkdirSync(join(out, 'final/x'), { recursive: true });
    };
    const { message, step } = await failureOf(out, [], inItsPlace);
    expect(step).toBe(8);
    const [, rescued] = /final exists and is not empty.*The model is saved in (\S+) instead/.exec(message)!;
    rmSync(rescued!, { recursive: true });
  });
});
