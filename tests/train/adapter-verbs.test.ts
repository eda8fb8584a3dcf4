// A run of an adapter, and every verb that takes a model: by the run, by the adapter alone, by base and adapter.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { train } from '#reanchor/driver/index.js';
import { measureKl } from '#reanchor/eval/kl/measure.js';
import { score } from '#reanchor/eval/score.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { asPrinted } from '../support/as-printed.js';
import { tinyModel } from '../support/training.js';

const folder = mkdtempSync(join(tmpdir(), 'reanchor-adapter-verbs-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const place = (name: string) => join(folder, `${name}-${count++}`);
const jsonl = (name: string, row: (i: number) => object) => {
  const file = `${place(name)}.jsonl`;
  writeFileSync(file, Array.from({ length: 12 }, (_, i) => `${JSON.stringify(row(i))}\n`).join(''));
  return file;
};
const pairs = jsonl('pairs', (i) => ({ prompt: `q ${i}`, chosen: `yes ${i}`, rejected: `no ${i}` }));
const prompts = jsonl('prompts', (i) => ({ prompt: `q ${i}` }));
const template = '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]';

async function trained(...set: string[]): Promise<string> {
  const recipe = parseRecipe(
    `{ model: ${base}, method: dpo, adapter: { r: 4 }, batch: { size: 4 }, steps: 4, threads: 1, checkpoint: { every: 2 },
       optimizer: { lr: 2.0e-2 }, data: { train: ${pairs}, validation: ${pairs}, maxLength: 60 } }`,
    { file: 'test.yaml', set: [`data.chatTemplate=${JSON.stringify(template)}`, ...set], env: {} },
  );
  return (await train({ recipe, out: place('run'), command: [] })).folder;
}

/** What a command prints. */
async function printed(...args: string[]): Promise<string> {
  let text = '';
  const write = (piece: string) => (text += piece);
  await commandLine(new Terminal({ stdout: { write }, stderr: { write }, env: {} })).parseAsync(['', '', ...args]);
  return text;
}

/** What a verb writes to a file, which its flags are given. */
async function written(...args: string[]): Promise<string> {
  const out = place('out');
  await printed(...args, '--out', out);
  return readFileSync(out, 'utf8');
}

/** A base of its own, which a test changes. */
const base = place('base');
let run: string;
let final: string;
beforeAll(async () => {
  cpSync(tinyModel, base, { recursive: true });
  run = await trained('save.merged=true');
  final = join(run, 'final');
});

interface ScoreLine {
  chosen: { logprob: number };
  reference: { chosen: number };
  reward: { margin: number };
}
const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ScoreLine);

describe('one model by its names', () => {
  test('score: its run, itself alone, base and adapter; merged it scores the same', async () => {
    const byRun = await written('score', '--run', run);
    const rest = ['--reference', base, '--data', pairs];
    expect(await written('score', '--model', final, ...rest)).toBe(byRun);
    expect(await written('score', '--model', base, '--adapter', final, ...rest)).toBe(byRun);
    const [ours, merged] = [byRun, await written('score', '--run', run, '--model', join(run, 'merged'))].map(linesOf);
    for (const [i, line] of ours!.entries()) {
      expect(line.chosen.logprob).toBeCloseTo(merged![i]!.chosen.logprob, 4);
      expect(line.reference).toEqual(merged![i]!.reference);
      expect(Math.abs(line.reward.margin)).toBeGreaterThan(0);
    }
  });

  test('generate, through the chat template of its run', async () => {
    const flags = ['--prompts', prompts, '--max-new-tokens', '8', '--temperature', '0'];
    const byRun = await written('generate', '--run', run, ...flags);
    expect(await written('generate', '--model', final, ...flags)).toBe(byRun);
    expect(await written('generate', '--model', base, '--adapter', final, ...flags)).toBe(byRun);
    expect(await written('generate', '--model', base, '--chat-template', template, ...flags)).not.toBe(byRun);
  });

  test('eval kl: of itself by another name it is 0, to the bit; of its base it is that of the merged model', async () => {
    const of = { prompts, maxNewTokens: 8, seed: 1 };
    const own = await measureKl({ model: final, reference: base, referenceAdapter: final, of });
    expect(own.logRatio.sequence.estimate).toBe(0);
    const adapted = await measureKl({ model: base, adapter: final, reference: base, of });
    const merged = await measureKl({ model: join(run, 'merged'), reference: base, of, chatTemplate: template });
    expect(adapted.logRatio.sequence.estimate).toBeCloseTo(merged.logRatio.sequence.estimate, 4);
    expect(adapted.logRatio.sequence.estimate).not.toBe(0);
  });

  test('eval logps: checkpoints and the final adapter of its run, beside the base', async () => {
    const text = await printed('eval', 'logps', `base=${base}`, `run=${run}`, '--data', pairs, '--resamples', '10');
    expect(text.match(/^(base|run\/\S+) +12 /gm)).toHaveLength(4);
    const [, last] = /^run\/final +12 +(\S+)/m.exec(text)!;
    const mean = linesOf(await written('score', '--run', run)).reduce(
      (sum, { chosen }) => sum + chosen.logprob / 12,
      0,
    );
    expect(Number(last)).toBeCloseTo(mean, 2);
  });

  test('eval winrate: its rewards are a judge', async () => {
    const answers = jsonl('answers', (i) => ({ prompt: `q ${i}`, completion: `yes ${i}` }));
    const others = jsonl('others', (i) => ({ prompt: `q ${i}`, completion: `no ${i}` }));
    const flags = ['--answers', answers, others, '--resamples', '100', '--judge-reference', base];
    const alone = await printed('eval', 'winrate', ...flags, '--judge-model', final);
    expect(alone).toMatch(/ 12 +12 +\S+ %/);
    const both = await printed('eval', 'winrate', ...flags, '--judge-model', base, '--judge-adapter', final);
    expect(both).toBe(alone);
  });

  test('tokens', async () => {
    expect(await printed('tokens', '--run', run, '--rows', '1')).toContain('every row through the chat template');
  });
});

describe('score --run', () => {
  test('of a run that began with an adapter has that as its reference', async () => {
    const next = await trained(`adapter={ resumeFrom: ${final} }`);
    const [first] = linesOf(await written('score', '--run', next));
    const [before] = linesOf(await written('score', '--run', run));
    expect(first!.reference.chosen).toBe(before!.chosen.logprob);
    const named = ['--reference', base, '--reference-adapter', final];
    expect(linesOf(await written('score', '--run', next, ...named))[0]).toEqual(first);
  });

  test('of a run on a base in four bits has that base', async () => {
    const packed = await trained('quantize=nf4', 'steps=1');
    const text = await printed('score', '--run', packed, '--out', place('out'));
    expect(text).toContain(
      `the model under ${packed}/final is quantised when it is loaded (nf4), as it was when that was trained`,
    );
    const [own] = linesOf(await written('score', '--run', packed));
    const [dense] = linesOf(await written('score', '--run', run));
    expect(own!.reference.chosen).not.toBe(dense!.reference.chosen);
    expect(own!.chosen.logprob).not.toBe(own!.reference.chosen);
  });

  test('refuses a base that is another one now', async () => {
    const config = join(base, 'config.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, `${text} `);
    try {
      const scored = score({ run, out: place('out') });
      await expect(scored).rejects.toThrow(/has other content than when the run began: name the base with model BASE/);
    } finally {
      writeFileSync(config, text);
    }
  });
});

test.each([
  [['score', '--adapter', 'x', '--out', 'o'], /^--adapter has no effect without --model, the model that it is on$/],
  [['score', '--model', 'x', '--reference-adapter', 'y', '--out', 'o'], /^--reference-adapter has no effect without/],
  [['generate', '--adapter', 'x', '--prompt', 'p'], /^--adapter has no effect without --model/],
  [
    ['eval', 'winrate', '--answers', 'a', 'b', '--judge-adapter', 'x'],
    /^--judge-adapter has no effect without --judge-/,
  ],
])('%j is refused', async (args, message) => {
  await expect(asPrinted(printed(...args))).rejects.toThrow(message);
});

test('the judge of an adapter that has lost its base is told by the flags of a judge', async () => {
  const lost = place('lost');
  cpSync(final, lost, { recursive: true });
  const file = join(lost, 'adapter_config.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace(base, '/no/such/model'));
  const flags = ['--answers', pairs, prompts, '--judge-model', base, '--judge-reference', lost];
  await expect(asPrinted(printed('eval', 'winrate', ...flags))).rejects.toThrow(
    `give --judge-reference BASE --judge-reference-adapter ${lost}`,
  );
});
