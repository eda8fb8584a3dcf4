// Which checkpoints a run leaves, and what --resume refuses.
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configureProcess, train } from '#reanchor/driver/index.js';
import type { Recipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { lockRun } from '#reanchor/runs/lock.js';
import { otherLlama, outcome, resumableRecipe } from '../support/resuming.js';
import { tinyModel, tinyPairs } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-checkpoints-'));
afterAll(() => rmSync(folder, { recursive: true }));
const [model, rows] = [join(folder, 'model'), join(folder, 'pairs.jsonl')];
cpSync(tinyModel, model, { recursive: true });
cpSync(tinyPairs, rows);
const recipe = (...set: string[]) =>
  resumableRecipe(model, `data.train=${rows}`, 'checkpoint={ every: 2, keep: 3 }', 'logEvery=1', ...set);
const warningsOf = (out: string) =>
  readEvents(join(out, 'events.jsonl')).events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));

/** A run that was cut off after step 7. */
const [cut, whole] = [join(folder, 'cut'), join(folder, 'whole')];
const cutOff = (event: RunEvent) => {
  if (event.type === 'step' && event.step === 7) throw new Error('cut off');
};
beforeAll(async () => {
  await train({ recipe: recipe(), out: whole, command: [] });
  await expect(train({ recipe: recipe(), out: cut, command: [], onEvent: cutOff })).rejects.toThrow('cut off');
});
let count = 0;
/** A copy of that run. */
function copyOfCut(): string {
  const out = join(folder, `copy-${count++}`);
  cpSync(cut, out, { recursive: true });
  return out;
}
const resume = (out: string, changed: Recipe = recipe()) => train({ recipe: changed, out, command: [], resume: true });

describe('a run', () => {
  test('keeps the newest checkpoints, each a model folder, and no temporary files', () => {
    expect(readdirSync(join(whole, 'checkpoints'))).toEqual(['step-000004', 'step-000006', 'step-000008']);
    expect(readdirSync(join(whole, 'checkpoints/step-000004')).sort()).toEqual([
      'README.md',
      'config.json',
      'generation_config.json',
      'manifest.json',
      'model.safetensors',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'training',
    ]);
    expect(readdirSync(whole).sort()).toEqual(['checkpoints', 'events.jsonl', 'final', 'run.json']);
  });

  test('keeps the best besides, by a metric that there is', async () => {
    const out = join(folder, 'best');
    const best = recipe('evaluate.every=1', 'checkpoint={ every: 1, keep: 1, best: logps/rejected }');
    const { evaluations, best: told } = await train({ recipe: best, out, command: [] });
    const values = evaluations.slice(1).map(({ metrics }) => metrics['logps/rejected']!);
    const top = 1 + values.indexOf(Math.max(...values));
    const kept = [...new Set([top, 8])].map((step) => `step-00000${step}`);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(kept);
    const path = join(out, 'checkpoints', kept[0]!);
    expect(told).toEqual({ step: top, path, metric: 'logps/rejected', value: Math.max(...values) });
    expect((await resume(out, best)).best).toEqual(told);
    const none = recipe('evaluate.every=1', 'checkpoint={ every: 1, best: accuracy }');
    const without = train({ recipe: none, out: join(folder, 'none'), command: [] });
    await expect(without).rejects.toThrow(/checkpoint\.best: .* no metric accuracy; they have rewards\/chosen/);
  });

  test.each([
    [['checkpoint.best=loss'], /checkpoint\.best.*compared by the evaluation of their step: set evaluate\.every/],
    [['onDivergence=rollback', 'checkpoint=null'], /onDivergence.*rollback needs checkpoints to go back to/],
    [['checkpoint.evry=3'], /did you mean checkpoint\.every/],
  ])('of %s is a mistake in the recipe', (set, message) => {
    expect(() => recipe('evaluate.every=3', ...set)).toThrow(message);
  });
});

describe('resume', () => {
  test('falls back from a damaged checkpoint to the one before, to the same bits, and says so', async () => {
    const out = copyOfCut();
    truncateSync(join(out, 'checkpoints/step-000006/training/optimizer.safetensors'), 1000);
    await resume(out);
    const { events, weights } = outcome(out);
    expect(weights).toBe(outcome(whole).weights);
    expect(events.filter((event) => !('message' in event))).toEqual(outcome(whole).events);
    expect(warningsOf(out)).toEqual([
      expect.stringMatching(
        /step-000006 is damaged \(.*optimizer\.safetensors: the file has 1000 bytes.*goes on from step-000004/,
      ),
    ]);
    expect(readdirSync(join(out, 'checkpoints'))).toContain('step-000006.damaged-1');
  });

  test('refuses when none is whole, and says why of each', async () => {
    const out = copyOfCut();
    for (const name of readdirSync(join(out, 'checkpoints')))
      rmSync(join(out, 'checkpoints', name, 'model.safetensors'));
    await expect(resume(out)).rejects.toThrow(
      /no checkpoint of .* is whole:(\n.*model\.safetensors: the file is missing){3}\n.*start the run anew/,
    );
    expect(readdirSync(out)).not.toContain('run.lock');
  });

  test('drops half a line and what was half written', async () => {
    const out = copyOfCut();
    appendFileSync(join(out, 'events.jsonl'), '{"time":"20');
    cpSync(join(out, 'checkpoints/step-000004'), join(out, 'checkpoints/step-000008.tmp-0123456789ab'), {
      recursive: true,
    });
    await resume(out);
    expect(outcome(out)).toEqual(outcome(whole));
    expect(readFileSync(join(out, 'superseded.jsonl'), 'utf8')).toMatch(/"step":7,.*\n\{"time":"20\n$/s);
    expect(readdirSync(join(out, 'checkpoints'))).toEqual(['step-000004', 'step-000006', 'step-000008']);
  });

  test('takes keys that do not matter, and says which', async () => {
    const out = copyOfCut();
    const changed = recipe('evaluate.every=1', 'save.dtype=bf16', 'batch.tokensPerMicroBatch=100', 'threads=2');
    configureProcess(changed);
    await resume(out, changed);
    configureProcess(recipe());
    const resumed = readEvents(join(out, 'events.jsonl')).events.find(({ type }) => type === 'resumed');
    expect(resumed).toMatchObject({
      step: 6,
      steps: 8,
      changes: [
        'batch.tokensPerMicroBatch: 16384 -> 100',
        'evaluate.every: 4 -> 1',
        'save.dtype: left out -> "bf16"',
        'threads: 1 -> 2',
      ],
    });
    expect(warningsOf(out)).toEqual([
      expect.stringMatching(/rounds sums otherwise/),
      expect.stringMatching(/operators use 2 threads and used 1: the last digits may not be/),
    ]);
  });

  test('leaves a finished run as it is, but for the end of its events', async () => {
    const events = join(whole, 'events.jsonl');
    const before = readFileSync(events, 'utf8');
    const result = await resume(whole);
    expect(result).toMatchObject({ isFinished: true, steps: 8, final: join(whole, 'final') });
    expect(result.evaluations.map(({ step }) => step)).toEqual([0, 4, 8]);
    expect(readFileSync(events, 'utf8')).toBe(before);
    const expected = outcome(whole);
    for (const kept of [before.split('\n').slice(0, -2).join('\n'), before.split('\n').slice(0, -3).join('\n')]) {
      writeFileSync(events, `${kept}\n{"ti`);
      await resume(whole);
      expect(outcome(whole)).toEqual(expected);
    }
  });

  test.each([
    ['a folder without a run', () => folder, [], /is no run folder/],
    [
      'another recipe',
      copyOfCut,
      ['optimizer.lr=1e-5', 'loss.beta=0.2'],
      /loss\.beta: 0\.1 -> 0\.2\n {2}optimizer\.lr: 0\.001 -> 0\.00001/,
    ],
  ])('refuses %s', async (_, place, set, message) => {
    await expect(resume(place(), recipe(...set))).rejects.toThrow(message);
  });

  test('refuses a run that was cut off before its first checkpoint', async () => {
    const out = copyOfCut();
    rmSync(join(out, 'checkpoints'), { recursive: true });
    await expect(resume(out)).rejects.toThrow(/cut off before its first checkpoint.*start the run anew/);
  });

  test('refuses a checkpoint of another run', async () => {
    const [out, other] = [copyOfCut(), join(folder, 'other-run')];
    await train({ recipe: recipe('optimizer.lr=1e-5', 'steps=7'), out: other, command: [] });
    rmSync(join(out, 'checkpoints'), { recursive: true });
    cpSync(join(other, 'checkpoints'), join(out, 'checkpoints'), { recursive: true });
    await expect(resume(out)).rejects.toThrow(/step-000006 belongs to a run with another recipe/);
  });

  test('refuses while another process, or this one, is busy with the run', async () => {
    const out = copyOfCut();
    using _lock = lockRun(out);
    await expect(resume(out)).rejects.toThrow(/is used by process \d+ on .*: wait for it or stop it/);
  });

  test('refuses rows and weights that are not what they were', async () => {
    const out = copyOfCut();
    const text = readFileSync(rows, 'utf8');
    writeFileSync(rows, text.replace('"chosen": "', '"chosen": "Z').replace('"chosen":"', '"chosen":"Z'));
    expect(readFileSync(rows, 'utf8')).not.toBe(text);
    await expect(resume(out)).rejects.toThrow(/cannot go on: what data\.(train|validation) names has other content/);
    writeFileSync(rows, text);
    cpSync(join(await otherLlama(folder), 'model.safetensors'), join(model, 'model.safetensors'));
    await expect(resume(out)).rejects.toThrow('what model names has other content');
    cpSync(join(tinyModel, 'model.safetensors'), join(model, 'model.safetensors'));
    await resume(out);
    expect(outcome(out)).toEqual(outcome(whole));
  });
});
