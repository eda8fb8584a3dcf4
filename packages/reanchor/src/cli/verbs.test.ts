import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import type { RunEvent } from '../runs/events.js';
import { stepText } from './progress.js';
import { scoreVerb } from './score.js';
import { Terminal } from './terminal.js';
import { trainVerb } from './train.js';

type Load = NonNullable<Parameters<typeof trainVerb>[3]>;
type Train = Awaited<ReturnType<Load>>['train'];

const folder = mkdtempSync(join(tmpdir(), 'verbs-'));
const recipe = join(folder, 'r.yaml');
writeFileSync(recipe, 'model: base model\nmethod: dpo\ndata: { train: a.jsonl, validation: 8 }\n');

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + 1000 * seconds).toISOString();
const step = (n: number): Extract<RunEvent, { type: 'step' }> => ({
  time: at(10 * n),
  type: 'step',
  step: n,
  epoch: n / 10,
  metrics: { loss: Math.LN2, 'rewards/margins': 0.25, 'rewards/accuracies': 0.5, tokens_per_second: 12_345.6 },
});
const evaluation = (n: number, accuracy: number) => ({
  step: n,
  metrics: { 'rewards/accuracies': accuracy, 'rewards/margins': 2 * accuracy, 'logps/accuracies': 0.5 },
});

function recorder() {
  const written = { stdout: '', stderr: '' };
  const stdout = { write: (text: string) => (written.stdout += text) };
  const stderr = { write: (text: string) => (written.stderr += text) };
  return { written, terminal: new Terminal({ stdout, stderr, env: {} }) };
}

/** A stand-in for the library's train, which reports ten steps or stops when it is told to. */
const fakeTrain =
  (given: unknown[] = [], stopAt = 0, signalName: 'SIGINT' | 'SIGTERM' | 'SIGHUP' = 'SIGINT'): Train =>
  async (options) => {
    given.push(options);
    const { out, onEvent, signal } = options;
    const skipped = { time: at(0), type: 'skipped', reason: 'identical pair', file: 'a.jsonl', index: 0 } as const;
    onEvent?.({ time: at(0), type: 'start', steps: 10, rows: 1234, validationRows: 8, parameters: 260_032 });
    for (const line of [1, 5, 7, 9]) onEvent?.({ ...skipped, line });
    onEvent?.({ time: at(0), type: 'warning', message: 'tau is large' });
    let steps = 0;
    while (steps < 10 && !signal?.aborted) {
      onEvent?.(step(++steps));
      if (steps === stopAt) process.emit(signalName);
    }
    const final = join(out, steps < 10 ? 'checkpoints/step-000003' : 'final');
    onEvent?.({ time: at(100), type: 'saved', folder: final });
    onEvent?.({ time: at(100), type: 'end', steps, seconds: 100 });
    const evaluations = [evaluation(0, 0), ...(steps < 10 ? [] : [evaluation(steps, 0.75)])];
    return { folder: out, final, isFinished: steps === 10, steps, evaluations };
  };

/** What a run in this process alone does not ask for. */
const notAsked = () => {
  throw new Error('this process is alone');
};
const others = { openWorld: notAsked, holdWorldStore: notAsked };

/** The library as the verb loads it, with another `train`. */
const driverWith =
  (train: Train, configured: unknown[] = []): Load =>
  async () => ({ train, configureProcess: (settings) => configured.push(settings), ...others });

describe('train', () => {
  it('hands the checked recipe to the library and prints the evaluation before and after, and how to go on', async () => {
    const { terminal, written } = recorder();
    const given: unknown[] = [];
    const flags = { set: ['loss.beta=0.2'], out: 'runs/a b' };
    const configured: unknown[] = [];
    const train: Train = async (options) => {
      expect(configured).toEqual([options.recipe]);
      return fakeTrain(given)(options);
    };
    expect(await trainVerb(recipe, flags, terminal, driverWith(train, configured))).toBe(0);
    expect(given).toEqual([
      expect.objectContaining({
        recipe: expect.objectContaining({ loss: { beta: 0.2, labelSmoothing: 0 } }),
        out: 'runs/a b',
        command: ['reanchor', 'train', recipe, '--set', 'loss.beta=0.2', '--out', 'runs/a b'],
      }),
    ]);
    expect(written.stdout.split('\n')).toEqual([
      'validation         step 0  step 10',
      'accuracy           0.0000   0.7500',
      'margin             0.0000   1.5000',
      'log-prob accuracy  0.5000   0.5000',
      'model  runs/a b/final',
      "next   npx reanchor score --run 'runs/a b' --data PAIRS --out scores.jsonl",
      '',
    ]);
  });

  it('tells the run on stderr: its size, skipped rows by reason, warnings, the last step', async () => {
    const { terminal, written } = recorder();
    await trainVerb(recipe, { set: [], out: 'x' }, terminal, driverWith(fakeTrain()));
    expect(written.stderr.split('\n')).toEqual([
      'training on 1,234 rows in 10 steps, 8 to evaluate on, 260,032 parameters',
      'skipped 4 rows, identical pair: a.jsonl lines 1, 5, 7 and 1 more, all in events.jsonl',
      'warning: tau is large',
      'step 1/10  loss 0.6931  margin 0.2500  accuracy 0.5000  12,346 tokens/s',
      'step 10/10  loss 0.6931  margin 0.2500  accuracy 0.5000  12,346 tokens/s  0s left',
      'saved x/final',
      '10 steps in 1m 40s',
      '',
    ]);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'stops after the step at %s, with exit code 130, and listens no longer',
    async (name) => {
      const { terminal, written } = recorder();
      const listeners = process.listenerCount(name);
      const flags = { set: ['loss.beta=0.2'], out: 'x y' };
      const code = await trainVerb(recipe, flags, terminal, driverWith(fakeTrain([], 3, name)));
      expect(code).toBe(130);
      expect(written.stderr).toContain('stopping after this step, with a checkpoint; Ctrl-C again stops at once\n');
      expect(written.stderr).toContain('stopped after 3 of 10 steps; to go on:\n');
      expect(written.stderr).toContain(`npx reanchor train ${recipe} --set loss.beta=0.2 --out 'x y' --resume\n`);
      expect(written.stdout).toContain('model  x y/checkpoints/step-000003\n');
      const next = "next   npx reanchor score --run 'x y' --model 'x y/checkpoints/step-000003' --data PAIRS --out";
      expect(written.stdout).toContain(next);
      expect(process.listenerCount(name)).toBe(listeners);
    },
  );

  it.each([false, true])('stopped before the first step it says how to go on (--resume: %s)', async (resume) => {
    const { terminal, written } = recorder();
    const train: Train = async ({ signal }) => {
      process.emit('SIGINT');
      throw signal!.reason;
    };
    const out = join(folder, `never-${resume}`);
    expect(await trainVerb(recipe, { set: [], out, resume }, terminal, driverWith(train))).toBe(130);
    const asItWas = resume ? `, ${out} is as it was` : '';
    expect(written.stderr).toContain('stopping: training has not begun; Ctrl-C again stops at once\n');
    expect(written.stderr).toContain(`stopped before the first step${asItWas}; to go on:\n`);
    expect(written.stderr).toContain(`npx reanchor train ${recipe} --out ${out} --resume\n`);
    expect(written.stderr.includes(`there is no run in ${out} to go on with: it begins there\n`)).toBe(resume);
  });

  it('listens for signals while libtorch is loaded', async () => {
    const { terminal, written } = recorder();
    const train: Train = async ({ signal }) => {
      throw signal!.reason;
    };
    const load = async () => {
      process.emit('SIGTERM');
      return driverWith(train)();
    };
    expect(await trainVerb(recipe, { set: [], out: join(folder, 'loading') }, terminal, load)).toBe(130);
    expect(written.stderr).toContain('stopped before the first step; to go on:\n');
  });

  it('names the best checkpoint at the end', async () => {
    const { terminal, written } = recorder();
    const best = { step: 4, path: 'x/checkpoints/step-000004', metric: 'rewards/accuracies', value: 0.8125 };
    const train: Train = async (options) => ({ ...(await fakeTrain()(options)), best });
    await trainVerb(recipe, { set: [], out: 'x' }, terminal, driverWith(train));
    expect(written.stdout).toContain(
      'model  x/final\nbest   x/checkpoints/step-000004 (rewards/accuracies 0.8125 after step 4)\nnext   ',
    );
  });

  it('two runs of a recipe that begin in one second are in two folders, and what came to nothing leaves none', async () => {
    const here = process.cwd();
    process.chdir(mkdtempSync(join(folder, 'here-')));
    try {
      const start = async (train: Train) => trainVerb(recipe, { set: [] }, recorder().terminal, driverWith(train));
      await expect(start(() => Promise.reject(new Error('no such model')))).rejects.toThrow('no such model');
      expect(existsSync('runs')).toBe(false);
      vi.useFakeTimers({ toFake: ['Date'], now: new Date(2026, 0, 2, 3, 4, 5) });
      const given: { out: string }[] = [];
      const busy: Train = async (options) => {
        writeFileSync(join(options.out, 'run.json'), '{}');
        return fakeTrain(given)(options);
      };
      await Promise.all([start(busy), start(busy), start(busy)]);
      const name = 'r-20260102-030405';
      expect(given.map(({ out }) => basename(out)).sort()).toEqual([name, `${name}-2`, `${name}-3`]);
      await trainVerb(recipe, { set: [], resume: true }, recorder().terminal, driverWith(fakeTrain(given)));
      expect(given.at(-1)!.out).toBe(join('runs', `${name}-3`));
    } finally {
      vi.useRealTimers();
      process.chdir(here);
    }
  });

  it('goes on with the newest run of the recipe, and says where there is none', async () => {
    const here = process.cwd();
    process.chdir(folder);
    try {
      const { terminal } = recorder();
      const resume = (given: unknown[]) =>
        trainVerb('r.yaml', { set: [], resume: true }, terminal, driverWith(fakeTrain(given)));
      await expect(asPrinted(resume([]))).rejects.toThrow(
        /runs holds no run of r\.yaml .*there are no runs.* with --out, or leave out --resume/,
      );
      for (const name of ['r-20260101-000000', 'r-20260102-000000', 'r-x-20260103-000000', 'other']) {
        mkdirSync(join('runs', name), { recursive: true });
        writeFileSync(join('runs', name, 'run.json'), '{}');
      }
      mkdirSync('runs/r-20260103-000000');
      const given: unknown[] = [];
      await resume(given);
      expect(given).toEqual([expect.objectContaining({ out: 'runs/r-20260102-000000', resume: true })]);
      rmSync('runs', { recursive: true });
      mkdirSync('runs/other', { recursive: true });
      writeFileSync('runs/other/run.json', '{}');
      await expect(resume([])).rejects.toThrow('the runs there are other');
    } finally {
      process.chdir(here);
    }
  });

  it('says what is left from the time of the steps so far', () => {
    expect(stepText(step(4), 10, { first: { step: 1, ms: 10_000 }, ms: 40_000 })).toMatch(
      /^step 4\/10 .* 1m 00s left$/,
    );
  });
});

describe('score', () => {
  type Score = Awaited<ReturnType<NonNullable<Parameters<typeof scoreVerb>[2]>>>['score'];
  const skipped = { total: 3, kept: 2 } as Parameters<
    Awaited<ReturnType<NonNullable<Parameters<typeof scoreVerb>[2]>>>['describeSkips']
  >[0];

  it('gives its flags to the library and prints accuracy and mean margin', async () => {
    const { terminal, written } = recorder();
    let given: unknown;
    const score: Score = async (options) => {
      given = options;
      options.onProgress?.(1, 2);
      return { rows: 1200, scored: 1190, skipped, accuracy: 0.6125, meanMargin: -0.5 };
    };
    const flags = {
      model: 'm',
      data: ['a', 'b'],
      out: 's.jsonl',
      reference: 'r',
      beta: '0.2',
      maxLength: '64',
      format: 'hh',
    };
    await scoreVerb(flags, terminal, async () => ({ score, describeSkips: () => ['10 rows skipped'] }));
    expect(given).toMatchObject({
      model: 'm',
      data: ['a', 'b'],
      out: 's.jsonl',
      reference: 'r',
      beta: 0.2,
      maxLength: 64,
      format: 'hh',
    });
    expect(written.stdout.split('\n')).toEqual([
      'rows           1,200',
      'scored         1,190',
      'accuracy      0.6125',
      'mean margin  -0.5000',
      '',
    ]);
    expect(written.stderr).toBe('scoring 50 %\n10 rows skipped\nwrote s.jsonl\n');
  });

  it('leaves what is not given to the library', async () => {
    let given: Record<string, unknown> = {};
    const score: Score = async (options) => {
      given = { ...options };
      return { rows: 0, scored: 0, skipped, accuracy: Number.NaN, meanMargin: Number.NaN };
    };
    await scoreVerb({ model: 'm', data: ['a'], out: 's' }, recorder().terminal, async () => ({
      score,
      describeSkips: () => [],
    }));
    expect([given.beta, given.maxLength, given.format, given.reference]).toEqual(Array(4).fill(undefined));
  });
});
