// A run from recipe to folder, and scoring with what it leaves, as a user meets them.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory } from '@reanchor/torch';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { train } from '#reanchor/driver/index.js';
import { UserError } from '#reanchor/errors.js';
import { score } from '#reanchor/eval/score.js';
import { openSafetensors } from '#reanchor/formats/index.js';
import { loadModel } from '#reanchor/models/load.js';
import { recipeData } from '#reanchor/planning/data.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents, readRun } from '#reanchor/runs/index.js';
import { loadTokenizer } from '#reanchor/text/tokenizer.js';
import { narrowModel } from '../support/narrow-model.js';
import { fixtures } from '../support/repository.js';
import { tinyModel, tinyPairs, weights } from '../support/training.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reanchor-run-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const recipe = (...set: string[]) =>
  parseRecipe(
    `{ model: ${tinyModel}, method: dpo, reference: { update: soft, alpha: 0.6 }, batch: { size: 8 }, optimizer: { lr: 1.0e-3 },
       data: { train: ${tinyPairs}, validation: 16, maxLength: 96 } }`,
    { file: 'test.yaml', set, env: {} },
  );
const run = (...set: string[]) => train({ recipe: recipe(...set), out: join(folder, 'run'), command: ['test'] });
const ofType = <T extends RunEvent['type']>(events: RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);

describe('train', () => {
  test('leaves run.json, whole events and a Hugging Face folder, and no tensor', async () => {
    const before = memory().liveTensors;
    const result = await run('evaluate.every=4');
    expect(memory().liveTensors).toBe(before);
    expect(readdirSync(result.folder).sort()).toEqual(['events.jsonl', 'final', 'run.json']);
    expect(readRun(result.folder).run).toMatchObject({
      recipe: { reference: { alpha: 0.6 } },
      seed: 42,
      command: ['test'],
    });

    const { events, tornLine } = readEvents(join(result.folder, 'events.jsonl'));
    expect(tornLine).toBeUndefined();
    const [start] = ofType(events, 'start');
    expect(start!.rows + start!.validationRows + ofType(events, 'skipped').length).toBe(96);
    expect(ofType(events, 'step').map(({ step }) => step)).toEqual(
      Array.from({ length: start!.steps }, (_, i) => i + 1),
    );
    expect(ofType(events, 'reference').length).toBe(start!.steps);
    expect(ofType(events, 'evaluation').map(({ step }) => step)).toEqual([0, 4, 8, start!.steps]);
    expect(events.at(-1)).toMatchObject({ type: 'end', steps: start!.steps });

    const [first, last] = [result.evaluations[0]!.metrics, result.evaluations.at(-1)!.metrics];
    // All rewards are 0 against oneself: every pair is a tie, and a tie is half.
    expect(first).toMatchObject({ 'rewards/margins': 0, 'rewards/accuracies': 0.5 });
    expect(ofType(events, 'step')[0]!.metrics).toMatchObject({ 'rewards/margins': 0, 'rewards/accuracies': 0.5 });
    expect(readFileSync(join(result.final, 'README.md'), 'utf8')).toContain('| 0.5000 |');
    expect(last['rewards/margins']).toBeGreaterThan(0);

    const names = [
      'README.md',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ];
    expect(readdirSync(result.final).sort()).toEqual(names);
    expect(readFileSync(join(result.final, 'README.md'), 'utf8')).toContain('llama-tiny trained with TR-DPO');
    const [saved, original] = await Promise.all(
      [result.final, tinyModel].map((path) => openSafetensors(join(path, 'model.safetensors'))),
    );
    expect(new Set(saved!.tensors.keys())).toEqual(new Set(original!.tensors.keys()));
  });

  test.each(['sft', 'dpo', 'ipo', 'kto', 'kto-pair'])('trains with method %s', async (method) => {
    const reference = method === 'sft' ? ['reference=null'] : [];
    const before = memory().liveTensors;
    const result = await run(`method=${method}`, 'steps=2', ...reference);
    expect(result.steps).toBe(2);
    const steps = ofType(readEvents(join(result.folder, 'events.jsonl')).events, 'step');
    expect(steps.map(({ metrics }) => Number.isFinite(metrics.loss))).toEqual([true, true]);
    expect(memory().liveTensors).toBe(before);
    using trained = await loadModel(result.final, { dtype: 'float32' });
    using initial = await loadModel(tinyModel, { dtype: 'float32' });
    expect(weights(trained)).not.toEqual(weights(initial));
  });

  test('takes of each source its weight in rows, again after an epoch', async () => {
    const lines = readFileSync(tinyPairs, 'utf8').trim().split('\n');
    const [a, b] = [join(folder, 'a.jsonl'), join(folder, 'b.jsonl')];
    writeFileSync(a, `${lines.slice(0, 40).join('\n')}\n`);
    writeFileSync(b, `${lines.slice(40, 60).join('\n')}\n`);
    const mixed = recipe(
      `data.train=[{ source: ${a}, weight: 0.5 }, { source: ${b}, weight: 2 }]`,
      'data.validation=6',
      'epochs=2',
    );
    const data = await recipeData(mixed, await loadTokenizer(tinyModel));
    const own = (file: string) => [...data.train].filter((row) => row.file === file).length;
    expect(data.shares).toEqual([
      { rows: own(a), weight: 0.5 },
      { rows: own(b), weight: 2 },
    ]);
    expect(own(a) + own(b)).toBeGreaterThan(45);
    const perEpoch = Math.round(own(a) / 2) + 2 * own(b);
    const result = await train({ recipe: mixed, out: join(folder, 'run'), command: ['test'] });
    expect(result.steps).toBe(2 * Math.ceil(perEpoch / 8));
  });

  test('the same seed gives the same weights, another one others', async () => {
    const finals = [];
    for (const [i, seed] of [42, 42, 43].entries()) {
      const result = await train({ recipe: recipe('steps=3', `seed=${seed}`), out: join(folder, `${i}`), command: [] });
      using model = await loadModel(result.final, { dtype: 'float32' });
      finals.push(weights(model));
    }
    expect(finals[0]).toEqual(finals[1]);
    expect(finals[0]).not.toEqual(finals[2]);
  });

  test('a small tokensPerMicroBatch cuts steps and changes the result by rounding only', async () => {
    const losses = [];
    for (const [i, tokens] of [16384, 100].entries()) {
      const set = [`batch.tokensPerMicroBatch=${tokens}`, 'steps=5', 'precision=fp64'];
      const result = await train({ recipe: recipe(...set), out: join(folder, `${i}`), command: [] });
      losses.push(
        ofType(readEvents(join(result.folder, 'events.jsonl')).events, 'step').map(({ metrics }) => metrics.loss!),
      );
    }
    expect(losses[1]).toBeCloseToTensor(losses[0]!, 1e-9);
  });

  test('the steps after the last full window are logged too', async () => {
    const result = await run('logEvery=4', 'steps=6');
    const steps = ofType(readEvents(join(result.folder, 'events.jsonl')).events, 'step');
    expect(steps.map(({ step }) => step)).toEqual([4, 6]);
  });

  test.each(['soft, alpha: 0.6', 'hard, tau: 2', 'fixed'])(
    'divergence is a mistake to mend, not a bug: update %s',
    async (update) => {
      const diverged = run('optimizer.lr=1e30', `reference={ update: ${update} }`);
      await expect(diverged).rejects.toThrow(/diverged and is stopped.*Lower optimizer.lr/s);
      await expect(diverged).rejects.toBeInstanceOf(UserError);
    },
  );

  test('what is probably not meant is said in warnings', async () => {
    const result = await run(
      'reference={ update: hard, tau: 512 }',
      'schedule.warmupSteps=50',
      'evaluate.every=99',
      'precision=fp64',
    );
    const warnings = ofType(readEvents(join(result.folder, 'events.jsonl')).events, 'warning').map(
      ({ message }) => message,
    );
    expect(warnings.join()).not.toMatch(/are trained on as well|empty prompt/);
    expect(warnings.join()).toMatch(
      /the reference never moves.*never reaches optimizer.lr.*before and after only.*saved in float64/,
    );
  });

  test('a card says what happened: a reference that never moved, pairs that are trained on too', async () => {
    const result = await run('reference={ update: hard, tau: 512 }', `data.validation=${tinyPairs}`, 'steps=2');
    const card = readFileSync(join(result.final, 'README.md'), 'utf8');
    expect(card).toContain('llama-tiny trained with DPO');
    expect(card).toContain('The reference moved 0 times');
    const warnings = ofType(readEvents(join(result.folder, 'events.jsonl')).events, 'warning').map(
      ({ message }) => message,
    );
    expect(warnings.join()).toContain('of data.validation are trained on as well');
  });

  test('when the model cannot be written where it belongs, it is saved elsewhere and the error says where', async () => {
    const out = join(folder, 'run');
    const onEvent = (event: RunEvent) => event.type === 'step' && writeFileSync(join(out, 'final'), '');
    const error: Error = await train({ recipe: recipe('steps=1'), out, command: [], onEvent }).catch((e) => e);
    const [, rescue] = /is a file: name a new folder\. The model is saved in (\S+) instead/.exec(error.message)!;
    using model = await loadModel(rescue!, { dtype: 'float32' });
    expect(model.parameters.size).toBe(20);
    rmSync(rescue!, { recursive: true });
  });

  test('an abort hides no other error', async () => {
    const abort = new AbortController();
    const onEvent = (event: RunEvent) => {
      if (event.type !== 'step') return;
      abort.abort();
      throw new Error('of another kind');
    };
    const run = train({ recipe: recipe(), out: join(folder, 'run'), command: [], signal: abort.signal, onEvent });
    await expect(run).rejects.toThrow('of another kind');
    expect(existsSync(join(folder, 'run', 'checkpoints'))).toBe(false);
  });

  test('an abort before the first step trains nothing and gives its reason', async () => {
    const signal = AbortSignal.abort('enough');
    await expect(train({ recipe: recipe(), out: join(folder, 'run'), command: [], signal })).rejects.toBe('enough');
    expect(existsSync(join(folder, 'run'))).toBe(false);
  });

  test('an abort ends after the step and leaves a checkpoint that is a model folder', async () => {
    const abort = new AbortController();
    const result = await train({
      recipe: recipe(),
      out: join(folder, 'run'),
      command: [],
      signal: abort.signal,
      onEvent: (event) => event.type === 'step' && event.step === 3 && abort.abort(),
    });
    expect(result.steps).toBe(3);
    expect(result.isFinished).toBe(false);
    expect(result.final).toBe(join(folder, 'run', 'checkpoints', 'step-000003'));
    expect(existsSync(join(result.final, 'model.safetensors'))).toBe(true);
    expect(readFileSync(join(result.final, 'README.md'), 'utf8')).toMatch(
      /A checkpoint after 3 of \d+ optimizer steps/,
    );
  });

  test.each([
    ['a folder without config.json', ['model=/'], /config\.json does not exist|tokenizer\.json/],
    ['a missing data file', ['data.train=nowhere.jsonl'], /nowhere\.jsonl does not exist/],
    ['more rows held out than there are', ['data.validation=96'], /holds out 96 rows, but data\.train has 96/],
    [
      'a tokenizer with more tokens than the model',
      ['model=WIDE'],
      /pairs\.jsonl:\d+: the tokenizer gives token \d+, but the model's vocabulary has 300/,
    ],
    [
      'a loss without the smoothing it needs',
      ['loss.type=exo_pair'],
      /loss: exo_pair needs a labelSmoothing above 0.*1e-3 is advised/,
    ],
    ['no row short enough', ['data.maxLength=2'], /data\.train: no row is left of 80/],
  ])('%s is an error before anything is written', async (_, set, message) => {
    const wide = join(folder, 'wide');
    cpSync(join(fixtures, 'models/llama3-untied'), wide, { recursive: true });
    cpSync(join(fixtures, 'tokenizer'), wide, { recursive: true });
    await expect(run(...set.map((item) => item.replace('WIDE', wide)))).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual(['wide']);
  });

  test('broken JSON is an error with file and line', async () => {
    const file = join(folder, 'broken.jsonl');
    writeFileSync(file, '{"prompt":"a","chosen":"b","rejected":"c"}\n{"prompt":"a",\n');
    await expect(run(`data.train=${file}`)).rejects.toThrow(`${file}:2`);
  });
});

describe('score', () => {
  const read = () =>
    readFileSync(join(folder, 'scores.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  test('rows longer than the model was made for are told of', async () => {
    const model = narrowModel(join(folder, 'short'), 40);
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    await score({ model, data: [tinyPairs], out: join(folder, 'short.jsonl'), maxLength: 96, onNote });
    expect(notes).toEqual([expect.stringMatching(/the longest row has \d+ tokens and the model was made for 40/)]);
  });

  test('one line a row in input order; skipped rows say why', async () => {
    const result = await score({
      model: tinyModel,
      data: [tinyPairs],
      out: join(folder, 'scores.jsonl'),
      maxLength: 96,
    });
    const lines = read();
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: 96 }, (_, i) => i));
    expect(lines.filter(({ skipped }) => skipped).length).toBe(result.rows - result.scored);
    const scored = lines.filter(({ chosen }) => chosen);
    expect(scored.length).toBe(result.scored);
    expect(scored[0]).toEqual({
      index: 0,
      chosen: { logprob: expect.any(Number), tokens: expect.any(Number) },
      rejected: { logprob: expect.any(Number), tokens: expect.any(Number) },
    });
    const share = scored.filter(({ chosen, rejected }) => chosen.logprob > rejected.logprob).length / scored.length;
    expect(result.accuracy).toBe(share);
  });

  test('no row that can be scored is an error', async () => {
    const nothing = score({ model: tinyModel, data: [tinyPairs], out: join(folder, 'scores.jsonl'), maxLength: 2 });
    await expect(nothing).rejects.toThrow('no pair of 96 rows can be scored');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('the file of rows is never replaced by its scores', async () => {
    const rows = join(folder, 'rows.jsonl');
    cpSync(tinyPairs, rows);
    await expect(score({ model: tinyModel, data: [rows], out: rows, maxLength: 96 })).rejects.toThrow(
      'name another file',
    );
    expect(readFileSync(rows, 'utf8')).toBe(readFileSync(tinyPairs, 'utf8'));
  });

  test('a missing output folder is an error before anything is computed', async () => {
    const out = join(folder, 'nowhere', 'scores.jsonl');
    const progress: number[] = [];
    const scored = score({
      model: tinyModel,
      data: [tinyPairs],
      out,
      maxLength: 96,
      onProgress: (n) => progress.push(n),
    });
    await expect(scored).rejects.toThrow('does not exist');
    expect(progress).toEqual([]);
  });

  test('a reference with another tokenizer is refused', async () => {
    const other = join(folder, 'other');
    cpSync(tinyModel, other, { recursive: true });
    const file = join(other, 'tokenizer.json');
    const definition = JSON.parse(readFileSync(file, 'utf8'));
    definition.pre_tokenizer.add_prefix_space = true;
    writeFileSync(file, JSON.stringify(definition));
    const options = { model: tinyModel, data: [tinyPairs], out: join(folder, 'scores.jsonl'), maxLength: 96 };
    await expect(score({ ...options, reference: other })).rejects.toThrow(/other: its tokenizer gives other tokens/);
  });

  test('against itself as the reference every reward is 0, and every pair a tie', async () => {
    const options = { data: [tinyPairs], out: join(folder, 'scores.jsonl'), maxLength: 96, beta: 0.5 };
    const result = await score({ ...options, model: tinyModel, reference: tinyModel });
    expect(result).toMatchObject({ accuracy: 0.5, meanMargin: 0 });
    const [first] = read();
    expect(first.reward).toEqual({ chosen: 0, rejected: 0, margin: 0 });
    expect(first.reference).toEqual({ chosen: first.chosen.logprob, rejected: first.rejected.logprob });
  });
});
