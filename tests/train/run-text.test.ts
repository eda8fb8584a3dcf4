// A run and what is measured of its model later see the same texts: the run's template, on the run's day.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { train } from '../../packages/reanchor/src/driver/index.js';
import { checkpointLogps } from '../../packages/reanchor/src/eval/logps/logps.js';
import { score } from '../../packages/reanchor/src/eval/score.js';
import { generateFile } from '../../packages/reanchor/src/generate/index.js';
import { rowTokens } from '../../packages/reanchor/src/planning/row-tokens.js';
import { parseRecipe } from '../../packages/reanchor/src/recipe/index.js';
import { type RunEvent, readRun } from '../../packages/reanchor/src/runs/index.js';
import { interruptedRun, outcome } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-run-text-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const place = (name = 'run') => join(folder, `${name}-${count++}`);

const templateFile = join(folder, 'dated.jinja');
const template =
  "{{ strftime_now('%d %b %Y') }}{% for m in messages %}\n[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}\n[assistant]{% endif %}";
writeFileSync(templateFile, template);
const pairs = join(folder, 'pairs.jsonl');
writeFileSync(
  pairs,
  Array.from(
    { length: 12 },
    (_, i) => `${JSON.stringify({ prompt: `q ${i}`, chosen: `yes ${i}`, rejected: `no ${i}` })}\n`,
  ).join(''),
);
const recipe = (...set: string[]) =>
  parseRecipe(
    `{ model: ${tinyModel}, method: dpo, batch: { size: 4 }, steps: 4, threads: 1, optimizer: { lr: 1.0e-3 } }`,
    {
      file: 'test.yaml',
      set: [
        `data={ train: ${pairs}, validation: ${pairs}, maxLength: 60 }`,
        `data.chatTemplate=${JSON.stringify(template)}`,
        ...set,
      ],
      env: {},
    },
  );

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-28T23:59:00') });
});
afterEach(() => {
  vi.useRealTimers();
});
const midnight = () => vi.setSystemTime(new Date('2026-11-29T00:01:00'));

describe("the date of a chat template is the run's", () => {
  test('a run that is interrupted before midnight goes on after it, to the bits of one that was not', async () => {
    const whole = await train({ recipe: recipe(), out: place(), command: [] });
    const stops = (event: RunEvent) => {
      const isDue = event.type === 'step' && event.step === 2;
      if (isDue) midnight();
      return isDue;
    };
    const out = place();
    await interruptedRun(recipe(), stops, out);
    expect(readRun(out).run.localTime).toBe('2026-11-28T23:59:00');
    expect(outcome(out).weights).toBe(outcome(whole.folder).weights);
  });

  test('data.date sets another, for tokens too', async () => {
    const shown = async (...set: string[]) => {
      const { rows } = await rowTokens(recipe(...set), 1);
      return rows[0]!.parts[0]!.tokens.map(({ text }) => text).join('');
    };
    expect(await shown()).toContain('28 Nov 2026');
    expect(await shown('data.date=2024-07-26')).toContain('26 Jul 2024');
    const { notes } = await rowTokens(recipe('data.date=2024-07-26'), 1);
    expect(notes.join()).toContain('the chat template may write the date, which is 2024-07-26 in this run');
  });
});

describe('what is measured of the model of a run', () => {
  test('takes template, date, lengths and rows from the run', async () => {
    const { folder: run, final } = await train({ recipe: recipe(), out: place(), command: [] });
    const lines = async (options: Partial<Parameters<typeof score>[0]>) => {
      const out = place('scores');
      await score({ out, ...options });
      return readFileSync(out, 'utf8');
    };
    const explicit = await lines({
      model: final,
      reference: tinyModel,
      data: [pairs],
      chatTemplate: template,
      maxLength: 60,
    });
    midnight();
    const notes: string[] = [];
    expect(await lines({ run, onNote: (note) => notes.push(note) })).toBe(explicit);
    expect(notes.join()).toMatch(/rows as in .*: chat template .*, maxLength 60, format auto/);
    expect(await lines({ model: final, reference: tinyModel, data: [pairs] })).toBe(explicit);
    expect(await lines({ run, chatTemplate: 'none' })).not.toBe(explicit);

    const scored = JSON.parse(explicit.split('\n')[0]!) as { chosen: { logprob: number } };
    const logps = await checkpointLogps({ models: [run], data: [pairs], resamples: 10 });
    expect(logps.settings).toMatchObject({ maxLength: 60, chatTemplate: template });
    const mean = explicit
      .trim()
      .split('\n')
      .reduce((sum, line) => sum + (JSON.parse(line) as typeof scored).chosen.logprob / 12, 0);
    expect(logps.models[0]!.logps.chosen.mean).toBeCloseTo(mean, 4);
  });

  test('generate answers plain prompts through the template of the run, unless none is asked for', async () => {
    const { final } = await train({ recipe: recipe(), out: place(), command: [] });
    const prompts = place('prompts');
    writeFileSync(prompts, '{"prompt": "q 1"}\n');
    const answer = async (chatTemplate?: string) => {
      const out = place('answers');
      const notes: string[] = [];
      const onNote = (note: string) => notes.push(note);
      await generateFile({ model: final, prompts, out, chatTemplate, temperature: 0, maxNewTokens: 8, onNote });
      return { text: readFileSync(out, 'utf8'), notes: notes.join() };
    };
    const taken = await answer();
    midnight();
    expect(await answer()).toEqual(taken);
    expect(taken.notes).toMatch(/every text goes through a chat template, as in .*run-/);
    expect((await answer('none')).notes).toBe('');
  });

  test('a template of a file is that of the final folder, wherever the file has gone', async () => {
    const { folder: run } = await train({
      recipe: recipe(`data.chatTemplate=${templateFile}`),
      out: place(),
      command: [],
    });
    const out = place('scores');
    await score({ run, out });
    const before = readFileSync(out, 'utf8');
    writeFileSync(templateFile, 'another');
    await score({ run, out });
    expect(readFileSync(out, 'utf8')).toBe(before);
  });

  test('what neither flags nor run say is asked for', async () => {
    const out = place('scores');
    await expect(score({ out, data: [pairs] })).rejects.toThrow(
      /--model is missing: name a model, or a run with --run/,
    );
    const run = place();
    await train({ recipe: recipe('data.validation=4'), out: run, command: [] });
    await expect(score({ out, run })).rejects.toThrow(/--data is missing: .* names no file of validation rows/);
  });
});
