// A run that is asked to end before it has trained: it ends at the next turn of the event loop, and begins anew with
// --resume.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { recipeData } from '#reanchor/planning/data.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { newestCheckpoint, type RunEvent } from '#reanchor/runs/index.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import { outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-early-'));
afterAll(() => rmSync(folder, { recursive: true }));
const reason = new Error('enough');
const recipe = (...set: string[]) => resumableRecipe(tinyModel, 'logEvery=1', 'checkpoint.every=4', ...set);
const whole = join(folder, 'whole');
beforeAll(async () => {
  await train({ recipe: recipe(), out: whole, command: [] });
});

/** A signal that is aborted after so many turns of the event loop. */
function afterTurns(turns: number): AbortSignal {
  const abort = new AbortController();
  const turn = (left: number) => (left === 0 ? abort.abort(reason) : setImmediate(() => turn(left - 1)));
  turn(turns);
  return abort.signal;
}

test('whenever that is, a run ends with the reason, without a checkpoint, and begins anew', async () => {
  for (let turns = 0; ; turns += 1 + (turns >> 2)) {
    const out = join(folder, 'any');
    rmSync(out, { recursive: true, force: true });
    const events: string[] = [];
    const run = train({
      recipe: recipe(),
      out,
      command: [],
      signal: afterTurns(turns),
      onEvent: ({ type }: RunEvent) => events.push(type),
    });
    const ended = await run.catch((error: unknown) => error);
    if (events.includes('step')) break;
    expect(ended).toBe(reason);
    expect(existsSync(join(out, 'checkpoints'))).toBe(false);
    if (turns > 4) continue;
    await train({ recipe: recipe(), out, command: [], resume: true });
    expect(outcome(out)).toEqual(outcome(whole));
  }
});

test.each(['start', 'evaluation'])('after its event %s, too', async (type) => {
  const out = join(folder, type);
  const abort = new AbortController();
  const onEvent = (event: RunEvent) => event.type === type && abort.abort(reason);
  await expect(train({ recipe: recipe(), out, command: [], signal: abort.signal, onEvent })).rejects.toBe(reason);
  expect(readdirSync(out).sort()).toEqual(['events.jsonl', 'run.json']);
  await train({ recipe: recipe(), out, command: [], resume: true });
  expect(outcome(out)).toEqual(outcome(whole));
});

test('rows are tokenised piece by piece, with ears for a signal between', async () => {
  const rows = readFileSync(tinyPairs, 'utf8').trim();
  const file = join(folder, 'many.jsonl');
  writeFileSync(file, `${Array.from({ length: 40 }, () => rows).join('\n')}\n`);
  const many = parseRecipe(
    `{ model: ${tinyModel}, method: dpo, data: { train: ${file}, validation: 8, maxLength: 96 } }`,
    { file: 'test.yaml', env: {} },
  );
  const tokenizer = await loadTokenizer(tinyModel);
  let encoded = 0;
  const abort = new AbortController();
  const counting = {
    ...tokenizer,
    encode: (...given: Parameters<typeof tokenizer.encode>) => {
      if (encoded++ === 0) setImmediate(() => abort.abort(reason));
      return tokenizer.encode(...given);
    },
  };
  await expect(recipeData(many, counting, { signal: abort.signal })).rejects.toBe(reason);
  expect(encoded).toBeGreaterThan(0);
  expect(encoded).toBeLessThan(8 * 300);
  const { report, train: kept } = await recipeData(many, tokenizer);
  const one = await recipeData({ ...many, data: { ...many.data, train: tinyPairs, validation: undefined } }, tokenizer);
  expect(report.skips[0]!.total).toBe(40 * one.report.skips[0]!.total - 8);
  expect(kept.length).toBe(report.skips[0]!.kept);
});

test('the files of checkpoints are compared with ears for a signal, and nothing is called damaged', async () => {
  const path = join(whole, 'checkpoints');
  const before = readdirSync(path);
  await expect(newestCheckpoint(path, AbortSignal.abort(reason))).rejects.toBe(reason);
  expect(readdirSync(path)).toEqual(before);
});
