// AlpacaEval 2 on the published numbers of 20 models (real data set; the files are not shipped).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { dataFolder, fixtures } from '../../../../../tests/support/repository.js';
import { readCsv } from '../../formats/index.js';
import { shuffled } from '../../random.js';
import { readAnnotations } from './annotations.js';
import { type AlpacaResult, evaluateAlpaca } from './evaluate.js';
import { readDifficulty, readLcInputs } from './files.js';
import {
  fitLengthControl,
  type GamedBaselines,
  gridOfC,
  lengthControlledWinRate,
  usualC,
  winRates,
} from './length-control.js';

const real = dataFolder && join(dataFolder, 'eval/alpaca_eval');
const files = (folder: string) => ({
  difficulty: join(folder, 'instruction-difficulty.csv'),
  baselines: join(folder, 'gamed-baselines.json'),
  expected: join(folder, 'lc-expected.csv'),
});
const largest = (results: AlpacaResult[], pick: (difference: NonNullable<AlpacaResult['difference']>) => unknown) =>
  Math.max(
    ...results.map(({ difference }) => {
      const value = pick(difference!);
      return typeof value === 'number' ? Math.abs(value) : Number.POSITIVE_INFINITY;
    }),
  );

describe.skipIf(!real)('published numbers of AlpacaEval 2', () => {
  const lcInputs = () => ({ lcInputs: join(real!, 'lc-inputs.jsonl.gz'), ...files(real!) });

  test('20 models with the C of the file: win rate, standard error, length control', async () => {
    const results = await evaluateAlpaca(lcInputs());
    expect(results).toHaveLength(20);
    expect(largest(results, (d) => d.win_rate)).toBeLessThan(1e-8);
    expect(largest(results, (d) => d.standard_error)).toBeLessThan(1e-8);
    expect(largest(results, (d) => d.lc_win_rate)).toBeLessThan(0.02);
    expect(largest(results, (d) => d.refit_lc)).toBeLessThan(1e-4);
    expect(largest(results, (d) => d.lc_from_published_weights)).toBeLessThan(1e-7);
    const baseline = results.find(({ model }) => model === 'gpt4_1106_preview')!;
    expect(baseline).toMatchObject({
      win_rate: 50,
      lc_win_rate: 50,
      weights: { w_len: 0, w_difficulty: 0, w_bias: 0 },
    });
  });

  test.each([2.78, 21.5])('with C = %d for all, within 0.15 points', async (c) => {
    const results = await evaluateAlpaca({ ...lcInputs(), c });
    expect(largest(results, (d) => d.lc_win_rate)).toBeLessThan(0.15);
    expect(results.every((one) => one.c === c)).toBe(true);
  });

  test('raw annotations of three models give the same numbers', async () => {
    const names = ['oasst-sft-pythia-12b', 'vicuna-7b-v1.5', 'vicuna-7b'];
    const results = await evaluateAlpaca({
      annotations: names.map((name) => join(real!, `annotations-${name}.json.gz`)),
      referenceOutputs: join(real!, 'reference-outputs-gpt4_1106_preview.json.gz'),
      ...files(real!),
    });
    expect(results.map(({ model }) => model)).toEqual(names);
    expect(largest(results, (d) => d.win_rate)).toBeLessThan(1e-8);
    expect(largest(results, (d) => d.standard_error)).toBeLessThan(1e-8);
    expect(largest(results, (d) => d.lc_win_rate)).toBeLessThan(0.02);
    expect(largest(results, (d) => d.refit_lc)).toBeLessThan(1e-4);
  });

  test('lengths of the raw annotations are those of the prepared inputs, in characters', async () => {
    const prepared = await readLcInputs(join(real!, 'lc-inputs.jsonl.gz'));
    const [one] = await readAnnotations(join(real!, 'annotations-vicuna-7b-v1.5.json.gz'));
    const same = prepared.find(({ model }) => model === 'vicuna-7b-v1.5')!;
    expect(one).toEqual(same);
  });

  test("counts and discrete win rates are the leaderboard's", async () => {
    const rows = await readCsv(join(real!, 'leaderboard-v2.csv'));
    const published = new Map(rows.map(({ cells }) => [cells['']!, cells]));
    const models = await readLcInputs(join(real!, 'lc-inputs.jsonl.gz'));
    let compared = 0;
    for (const judged of models) {
      const cells = published.get(judged.model);
      if (!cells) continue;
      compared++;
      const ours = winRates(judged);
      const names = ['n_wins', 'n_wins_base', 'n_draws', 'discrete_win_rate', 'avg_length'] as const;
      expect(names.map((name) => ours[name])).toBeCloseToTensor(
        names.map((name) => Number(cells[name])),
        1e-10,
      );
    }
    expect(compared).toBeGreaterThan(10);
  });

  test('the order of rows and answers in a file of their own change nothing; another answer is refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'alpaca-'));
    const text = gunzipSync(readFileSync(join(real!, 'annotations-vicuna-7b.json.gz'))).toString();
    const rows = JSON.parse(text) as Record<string, unknown>[];
    const write = (name: string, value: unknown) => {
      writeFileSync(join(folder, name), JSON.stringify(value));
      return join(folder, name);
    };
    const options = {
      annotations: [write('reversed.json', rows.map(({ output_2: _, ...row }) => row).reverse())],
      outputs: write(
        'outputs.json',
        rows.map(({ instruction, output_2, generator_2 }) => ({
          instruction,
          output: output_2,
          generator: generator_2,
        })),
      ),
      referenceOutputs: join(real!, 'reference-outputs-gpt4_1106_preview.json.gz'),
      ...files(real!),
    };
    const [result] = await evaluateAlpaca(options);
    expect(Math.abs(result!.difference!.refit_lc!)).toBeLessThan(1e-4);
    const annotations = [write('other.json', [{ ...rows[0], output_2: 'another' }, ...rows.slice(1)])];
    await expect(evaluateAlpaca({ ...options, annotations })).rejects.toThrow(
      /other\.json:1: its output_2 is another text than the answer in the file of answers/,
    );
    rmSync(folder, { recursive: true });
  });
});

describe.skipIf(!real)('rows in any order, and a part of them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'alpaca-order-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, value: unknown) => {
    writeFileSync(join(folder, name), JSON.stringify(value));
    return join(folder, name);
  };
  const open = (name: string) =>
    JSON.parse(gunzipSync(readFileSync(join(real!, name))).toString()) as Record<string, unknown>[];
  const rows = real ? open('annotations-vicuna-7b-v1.5.json.gz') : [];
  const shuffledRows = shuffled(rows.length, 7, 1).map((i) => rows[i]!);
  const difficulty = real && join(real, 'instruction-difficulty.csv');
  const reference = real && join(real, 'reference-outputs-gpt4_1106_preview.json.gz');
  const lc = async (annotations: unknown, referenceOutputs: string | undefined) =>
    (await evaluateAlpaca({ annotations: [write('rows.json', annotations)], referenceOutputs, difficulty }))[0]!
      .lc_win_rate;

  test('give with the baseline’s answers what they give in AlpacaEval’s order', async () => {
    expect(await lc(rows, undefined)).toBeCloseTo(7.69, 2);
    expect(await lc(rows, reference)).toBeCloseTo((await lc(rows, undefined))!, 12);
    expect(await lc(shuffledRows, reference)).toBeCloseTo((await lc(rows, undefined))!, 6);
    const part = rows.filter((_, i) => i % 8 === 3);
    expect(await lc(part.toReversed(), reference)).toBeCloseTo((await lc(part, reference))!, 6);
  });

  test('and are refused without them', async () => {
    const message = /vicuna-7b-v1\.5: .*other lengths.*give referenceOutputs/;
    await expect(lc(shuffledRows, undefined)).rejects.toThrow(message);
    await expect(lc(rows.slice(1), undefined)).rejects.toThrow(message);
    expect(await lc(rows.slice(0, 700), undefined)).toBeCloseTo((await lc(rows.slice(0, 700), reference))!, 12);
  });

  test('so are the baseline’s answers themselves in another order, or a part of them', async () => {
    const answers = open('reference-outputs-gpt4_1106_preview.json.gz');
    const message = /reference\.json: its \d+ answers are not those to all 805 instructions in their order/;
    await expect(lc(rows, write('reference.json', answers.toReversed()))).rejects.toThrow(message);
    const few = rows.slice(100, 200);
    await expect(lc(few, write('reference.json', answers.slice(100)))).rejects.toThrow(message);
  });
});

test('the length-controlled win rate is that of an independent computation', () => {
  const { difficulty, gamed, C, weights, winRate, ...judged } = (
    JSON.parse(readFileSync(join(fixtures, 'stats/reference.json'), 'utf8')) as { lengthControl: LengthControl }
  ).lengthControl;
  const index = difficulty.map((_, i) => i);
  const found = fitLengthControl({ ...judged, index }, difficulty, gamed, C);
  expect([found.w_len, found.w_difficulty, found.w_bias]).toBeCloseToTensor(weights, 1e-10);
  expect(lengthControlledWinRate(found, difficulty, index)).toBeCloseTo(winRate, 9);
});

interface LengthControl {
  difficulty: number[];
  preference: number[];
  len1: number[];
  len2: number[];
  gamed: GamedBaselines;
  C: number;
  weights: number[];
  winRate: number;
}

describe('on invented numbers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'alpaca-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const n = 40;
  const difficulty = write(
    'difficulty.csv',
    ['index,instruction_difficulty', ...Array.from({ length: n }, (_, i) => `${i},${Math.sin(i)}`)].join('\n'),
  );
  const lengths = { len_1: Array(n).fill(100), len_2: Array.from({ length: n }, (_, i) => 60 + 7 * (i % 13)) };
  const row = (change: object = {}) => ({
    model: 'm',
    ...lengths,
    preference: Array.from({ length: n }, (_, i) => [1, 2, 1.5, 0, 1.25][i % 5]),
    ...change,
  });
  const inputs = (...rows: object[]) => write('inputs.jsonl', rows.map((one) => JSON.stringify(one)).join('\n'));
  const baselines = write(
    'gamed-baselines.json',
    JSON.stringify({ S1: -0.5, S2: 0.25, lengths: { verbose: lengths } }),
  );

  test('the grid of C is that of AlpacaEval', () => {
    expect(gridOfC).toHaveLength(10);
    expect(usualC).toBeCloseTo(2.782559402207126, 12);
  });

  test('0 and 1.5 are draws, null is not judged, the first n difficulties serve a shorter row', async () => {
    const preference = [...row().preference.slice(0, 9), null];
    const short = { ...row(), len_1: lengths.len_1.slice(0, 10), len_2: lengths.len_2.slice(0, 10), preference };
    const [result] = await evaluateAlpaca({ lcInputs: inputs(short), difficulty });
    expect(result).toMatchObject({ n: 9, n_draws: 4, n_wins: 2, n_wins_base: 3, c: usualC });
    expect(result!.win_rate).toBeCloseTo((100 * (2 + 4 * 0.5 + 0.25)) / 9, 10);
    expect(result!.lc_win_rate).toBeGreaterThan(0);
  });

  test('a model as long as the baseline throughout has about its raw win rate, and 50 if it is the baseline', async () => {
    const same = { len_1: lengths.len_1, len_2: lengths.len_1 };
    const rare = Array.from({ length: n }, (_, i) => (i % 20 === 0 ? 2 : 1.01));
    const one = { ...row(), ...same, model: 'equal', preference: rare };
    const other = { ...one, model: 'one more', len_2: [101, ...lengths.len_1.slice(1)] };
    const baseline = { ...one, model: 'itself', preference: Array(n).fill(1.5) };
    const constant = { ...one, model: 'constant', len_2: lengths.len_1.map((length) => length + 5) };
    const [equal, near, itself, apart] = await evaluateAlpaca({
      lcInputs: inputs(one, other, baseline, constant),
      difficulty,
    });
    expect(equal!.lc_win_rate! - equal!.win_rate).toBeLessThan(3);
    expect(equal!.lc_win_rate).toBeCloseTo(near!.lc_win_rate!, 0);
    expect(itself).toMatchObject({ lc_win_rate: 50, weights: { w_len: 0, w_difficulty: 0, w_bias: 0 } });
    // What cannot be controlled for is left out, and ends nothing.
    expect(apart).toMatchObject({
      lc_win_rate: null,
      weights: null,
      problem: expect.stringMatching(/the same length/),
    });
    expect(apart!.win_rate).toBeCloseTo(equal!.win_rate, 12);
  });

  test('a model that was not judged does not end the others', async () => {
    const none = row({ model: 'none', preference: Array(n).fill(null) });
    const results = await evaluateAlpaca({ lcInputs: inputs(none, row()), difficulty });
    expect(results.map((one) => [one.model, one.n, one.problem])).toEqual([
      ['none', 0, 'no row was judged'],
      ['m', n, undefined],
    ]);
    expect(results[0]).toMatchObject({ win_rate: Number.NaN, lc_win_rate: null });
    await expect(evaluateAlpaca({ lcInputs: inputs(none), difficulty })).rejects.toThrow(/none: no row was judged/);
  });

  test('difficulties are read by their index, whatever the order of the rows', async () => {
    const some = (rows: string[]) => write('d.csv', ['index,instruction_difficulty', ...rows].join('\n'));
    expect(await readDifficulty(some(['2,0.5', '0,1', '1,-3']))).toEqual([1, -3, 0.5]);
    await expect(readDifficulty(some(['0,1', '2,2']))).rejects.toThrow(/d\.csv:3: .*0 to 1, each once/);
    await expect(readDifficulty(some(['0,1', '0,2']))).rejects.toThrow(/d\.csv:3: /);
    await expect(readDifficulty(some(['-1,1', '0,2']))).rejects.toThrow(/d\.csv:2: /);
    await expect(readDifficulty(some(['0,easy']))).rejects.toThrow(/d\.csv:2: /);
  });

  test('without difficulties there is no length control', async () => {
    const [result] = await evaluateAlpaca({ lcInputs: inputs(row()) });
    expect(result).toMatchObject({ lc_win_rate: null, c: null, weights: null });
    expect(result).not.toHaveProperty('difference.win_rate');
  });

  test('mistakes say what to do', async () => {
    const lcInputs = inputs(row());
    await expect(evaluateAlpaca({})).rejects.toThrow(/either lcInputs or annotations/);
    await expect(evaluateAlpaca({ lcInputs, c: 3 })).rejects.toThrow(/^c has no effect without difficulty/);
    await expect(evaluateAlpaca({ lcInputs, outputs: 'x' })).rejects.toThrow(/^outputs and .* go with annotations/);
    rmSync(baselines);
    await expect(evaluateAlpaca({ lcInputs, difficulty })).rejects.toThrow(/needs baselines as well/);
    write('gamed-baselines.json', '{"S1": 1, "S2": 2, "lengths": {"a": {"len_1": [1], "len_2": [2]}}}');
    await expect(evaluateAlpaca({ lcInputs, difficulty, baselines })).rejects.toThrow(/one length for each of 40/);
    for (const value of ['null', '[]', '{"S1": 1, "S2": 2, "lengths": {"a": null}}', '{"lengths": 7}']) {
      write('gamed-baselines.json', value);
      await expect(evaluateAlpaca({ lcInputs, difficulty, baselines })).rejects.toThrow(/gamed baselines are/);
    }
    const wrong = inputs(row(), row({ preference: [3] }));
    await expect(evaluateAlpaca({ lcInputs: wrong })).rejects.toThrow(/inputs\.jsonl:2: a row is .*equally long/);
    const other = write('d.csv', 'index,instruction_difficulty\n1,0\n');
    await expect(evaluateAlpaca({ lcInputs: inputs(row()), difficulty: other })).rejects.toThrow(/d\.csv:2: rows are/);
  });
});
