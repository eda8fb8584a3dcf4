// A run and what is measured of its model later see the same texts: the run's template, on the run's day.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { measureKl } from '#reanchor/eval/kl/measure.js';
import { checkpointLogps } from '#reanchor/eval/logps/logps.js';
import { RewardJudge } from '#reanchor/eval/rewards/reward-judge.js';
import { score } from '#reanchor/eval/score.js';
import { generateFile } from '#reanchor/generate/index.js';
import { rowTokens } from '#reanchor/planning/row-tokens.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readRun } from '#reanchor/runs/index.js';
import { interruptedRun, outcome } from '../support/resuming.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-run-text-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const place = (name = 'run') => join(folder, `${name}-${count++}`);

const template =
  "{{ strftime_now('%d %b %Y') }}{% for m in messages %}\n[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}\n[assistant]{% endif %}";
const pairs = join(folder, 'pairs.jsonl');
writeFileSync(
  pairs,
  Array.from(
    { length: 12 },
    (_, i) => `${JSON.stringify({ prompt: `q ${i}`, chosen: `yes ${i}`, rejected: `no ${i}` })}\n`,
  ).join(''),
);
/** A copy of the tiny model with a chat template. */
function otherModel(chatTemplate = '{{ messages[0].content }}'): string {
  const path = place('other');
  cpSync(tinyModel, path, { recursive: true });
  writeFileSync(join(path, 'chat_template.jinja'), chatTemplate);
  return path;
}
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

  test('a KL and rewards take the text of the run that left the reference, where the model is of none', async () => {
    const { final } = await train({ recipe: recipe(), out: place(), command: [] });
    const answers = place('answers');
    writeFileSync(answers, '{"prompt": "q 1", "completion": "yes"}\n');
    const pair = { prompt: 'q 1', first: 'yes', second: 'no' };
    const measured = async (reference: string, chatTemplate?: string) => {
      const notes: string[] = [];
      const models = { model: tinyModel, reference, chatTemplate, onNote: (note: string) => notes.push(note) };
      const kl = await measureKl({ ...models, of: { answers } });
      using judge = await RewardJudge.load(models);
      return { kl, verdict: await judge.judge(pair), notes: notes.join() };
    };
    const { notes: _, ...explicit } = await measured(final, template);
    midnight();
    const taken = await measured(final);
    expect(taken).toMatchObject(explicit);
    expect(taken.notes).toMatch(/^every text goes through a chat template, as in .*run-\d+,every text/);
    const plain = await measured(final, 'none');
    expect(plain.kl.logRatio).not.toEqual(explicit.kl.logRatio);
    expect(plain.verdict).not.toEqual(explicit.verdict);
  });

  test('a template of a file is that of the run, wherever the file has gone, and whatever model is scored', async () => {
    const file = `${place('template')}.jinja`;
    writeFileSync(file, template);
    const { folder: run, final } = await train({
      recipe: recipe(`data.chatTemplate=${file}`),
      out: place(),
      command: [],
    });
    const scored = async (options: Partial<Parameters<typeof score>[0]>) => {
      const out = place('scores');
      await score({ out, ...options });
      return readFileSync(out, 'utf8');
    };
    const before = await scored({ run });
    const other = otherModel();
    const explicit = { data: [pairs], chatTemplate: file, maxLength: 60, reference: tinyModel };
    const ofOther = await scored({ model: other, ...explicit });
    writeFileSync(file, 'another');
    expect(await scored({ run })).toBe(before);
    expect(await scored({ run, model: other })).toBe(ofOther);
    expect(await scored({ model: other, reference: final, data: [pairs] })).toContain(
      ofOther.split('\n')[0]!.split('"reference"')[0],
    );
  });

  test('chats without a named template take that of the run, also where a model has another or none', async () => {
    const own = otherModel(template);
    const chats = place('chats');
    const chat = (content: string) => [{ role: 'assistant', content }];
    const rows = Array.from({ length: 6 }, (_, i) => ({
      prompt: [{ role: 'user', content: `q ${i}` }],
      chosen: chat(`yes ${i}`),
      rejected: chat(`no ${i}`),
    }));
    writeFileSync(chats, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const data = `data={ train: ${chats}, validation: ${chats}, maxLength: 60 }`;
    const run = (await train({ recipe: recipe(`model=${own}`, data), out: place(), command: [] })).folder;
    const base = await checkpointLogps({ models: [own], data: [chats], resamples: 10 });
    for (const other of [tinyModel, otherModel('{{ messages[0].content }}')]) {
      const { models } = await checkpointLogps({ models: [other, run], data: [chats], resamples: 10 });
      expect(models[0]!.logps).toEqual(base.models[0]!.logps);
    }
  });

  test('eval logps takes the text of the first model that a run left, and refuses runs that make other tokens', async () => {
    const long = (await train({ recipe: recipe(), out: place(), command: [] })).folder;
    const { parts } = (await rowTokens(recipe(), 1)).rows[0]!;
    const cut = parts[0]!.tokens.length + parts[1]!.tokens.length - 1;
    const short = (await train({ recipe: recipe(`data.maxLength=${cut}`), out: place(), command: [] })).folder;
    const measured = async (models: string[], options: object = {}) => {
      const notes: string[] = [];
      const onNote = (note: string) => notes.push(note);
      const result = await checkpointLogps({ models, data: [pairs], resamples: 10, onNote, ...options });
      return { ...result, notes: notes.join('\n') };
    };
    const alone = await measured([long]);
    const beside = await measured([tinyModel, long]);
    expect(beside.models[1]!.logps).toEqual(alone.models[0]!.logps);
    expect(beside.notes).toMatch(/rows as in .*: chat template .*, maxLength 60, format auto, date 2026-11-28/);
    await expect(measured([tinyModel, long, short])).rejects.toThrow(
      new RegExp(`make other tokens of these rows \\(maxLength 60 and ${cut}\\): say which with maxLength$`),
    );
    expect((await measured([tinyModel, long, short], { maxLength: 60 })).models).toHaveLength(3);
    midnight();
    const later = (await train({ recipe: recipe(), out: place(), command: [] })).folder;
    expect((await measured([long, later])).models[0]!.logps).toEqual(alone.models[0]!.logps);
  });

  test('the form of texts and of labelled rows is not put upon pairs', async () => {
    const labelled = place('labelled');
    const lines = Array.from({ length: 8 }, (_, i) => ({
      prompt: `q ${i}`,
      completion: `yes ${i}`,
      label: i % 2 === 0,
    }));
    writeFileSync(labelled, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const data = `data={ train: ${labelled}, maxLength: 60, format: unpaired }`;
    const { folder: run } = await train({ recipe: recipe('method=kto', data), out: place(), command: [] });
    const out = place('scores');
    await score({ run, out, data: [pairs] });
    expect(readFileSync(out, 'utf8').split('\n')).toHaveLength(13);
    expect((await checkpointLogps({ models: [run], data: [pairs], resamples: 10 })).scored).toBe(12);
  });

  test('tokens that are only read are not counted, by score as by eval logps', async () => {
    const file = place('masked');
    const answer = (content: string, weight: number) => ({ role: 'assistant', content, weight });
    const turns = (last: string) => [answer('seen only', 0), { role: 'user', content: 'more' }, answer(last, 1)];
    const row = { prompt: [{ role: 'user', content: 'q' }], chosen: turns('yes'), rejected: turns('no') };
    writeFileSync(file, JSON.stringify(row));
    const options = { data: [file], chatTemplate: 'hh' };
    const { tokens } = await checkpointLogps({ models: [tinyModel], ...options, resamples: 10 });
    const out = place('scores');
    await score({ model: tinyModel, out, ...options });
    const { chosen, rejected } = JSON.parse(readFileSync(out, 'utf8'));
    expect(tokens).toEqual({ chosen: chosen.tokens, rejected: rejected.tokens });
    const { rows } = await rowTokens(recipe(`data={ train: ${file}, chatTemplate: hh }`), 1);
    const scored = rows[0]!.parts[1]!.tokens.filter(({ isScored }) => isScored);
    expect(tokens.chosen).toBe(scored.length);
    expect(tokens.chosen).toBeLessThan(rows[0]!.parts[1]!.tokens.length);
  });

  test('what neither options nor run say is asked for', async () => {
    const out = place('scores');
    await expect(score({ out, data: [pairs] })).rejects.toThrow(/^model is missing: name a model, or a run with run$/);
    const run = place();
    await train({ recipe: recipe('data.validation=4'), out: run, command: [] });
    await expect(score({ out, run })).rejects.toThrow(/^data is missing: .* names no file of validation rows/);
  });
});
