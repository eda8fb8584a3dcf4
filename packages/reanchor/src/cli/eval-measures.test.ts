import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import { commandLine } from './main.js';
import { Terminal } from './terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'measures-'));
afterAll(() => rmSync(folder, { recursive: true }));
const write = (name: string, rows: readonly object[]) => {
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return join(folder, name);
};

/** Runs `eval` in this process; gives the lines of stdout in cells, and stderr. */
async function run(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  await commandLine(terminal).parseAsync(['node', 'reanchor', 'eval', ...args]);
  return { cells: written.stdout.split('\n').map((line) => line.split(/ {2,}/)), stderr: written.stderr };
}

test.each([
  [[], /either --prompts, .* or --answers/],
  [['--prompts', 'p', '--answers', 'a'], /either --prompts, .* or --answers/],
  [['--answers', 'a', '--seed', '1'], /--seed has no effect with --answers/],
  [['--answers', 'a', '--temperature', '1'], /--temperature has no effect with --answers/],
  [['--prompts', 'p', '--samples', '0'], /--samples: "0" is not allowed; a whole number from 1 is/],
  [['--prompts', 'p', '--samples', '2', '--temperature', '0'], /--samples has no effect with --temperature 0/],
])('kl refuses %j', async (flags, message) => {
  await expect(run('kl', '--model', 'm', '--reference', 'r', ...flags)).rejects.toThrow(message);
});

test('diversity reads texts and chats, and prints a table of each', async () => {
  const chat = [{ role: 'user', content: 'Hi' }];
  const tuned = write('tuned.jsonl', [
    { prompt: chat, completion: 'a b c', tokens: 3 },
    { prompt: chat, completion: 'a b c', tokens: 3 },
  ]);
  const sft = write('sft.jsonl', [{ instruction: 'Hi', output: 'x' }]);
  const json = join(folder, 'diversity.json');
  const { cells } = await run('diversity', '--answers', tuned, `plain=${sft}`, '--json', json);
  expect(cells[1]).toEqual(['tuned', '1', '2', '1.0000', '1.0000', '1.0000', '1.0000', '0.5000', '0.5000', '0.5000']);
  expect(cells[2]).toEqual(['plain', '1', '1', '-', '-', '-', '-', '1.0000', '-', '-']);
  expect(cells.find(([, unit]) => unit === 'tokens')?.[2]).toBe('3.0');
  expect(JSON.parse(readFileSync(json, 'utf8')).models).toHaveLength(2);
  const broken = write('broken.jsonl', [{ prompt: 'x', completion: 3 }]);
  await expect(run('diversity', '--answers', broken)).rejects.toThrow(/"completion" is a number, not text/);
});

test('front prints the ends and bests of runs, and the differences seed by seed', async () => {
  const rows = ['a', 'b'].flatMap((seed, i) =>
    ['dpo', 'tr-dpo'].flatMap((method) =>
      [0, 1, 2].map((step) => ({
        method,
        base: 'dpo',
        run: seed,
        step,
        kl: step,
        win: (method === 'dpo' ? 1 : 2 + i / 2) * step + i,
      })),
    ),
  );
  const file = write('results.jsonl', rows);
  const svg = join(folder, 'front.svg');
  const json = join(folder, 'front.json');
  const flags = ['--kl', 'kl', '--quality', 'win', '--at', '1', '9', '--svg', svg, '--json', json];
  const { cells, stderr } = await run('front', file, ...flags);
  expect(cells[0]!.slice(0, 6)).toEqual(['run', 'arm', 'beta', 'seed', 'evaluations', 'last step']);
  const two = ['2', '2.0000', '2.0000'];
  expect(cells[1]).toEqual(['results dpo a', 'dpo', '-', 'a', '3', ...two, ...two]);
  expect(cells[6]).toEqual(['tr-dpo against dpo, paired by seed (2)']);
  const head = ['way', 'kl', 'dpo', 'tr-dpo', 'difference', '95 % interval', 'p', 'Holm', 'seeds'];
  expect(cells[7]).toEqual(head);
  const end = ['2.0000', '2.5000', '5.0000', '+2.5000', '-3.8531 to 8.8531', '0.126', '0.377', '2'];
  expect(cells.slice(8, 12)).toEqual([
    ['training', '1.0000', '1.5000', '2.7500', '+1.2500', '-1.9266 to 4.4266', '0.126', '0.377', '2'],
    ['training', '9.0000', '-', '-', '-', '-', '-', '-', '0 of 2'],
    ['best', ...end],
    ['end', ...end],
  ]);
  expect(stderr).toContain("3 differences were tested; Holm's p holds for all of them together");
  expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
    ...{ settings: { kl: 'kl', quality: 'win', at: [1, 9], level: 0.95 }, tests: 3 },
    comparisons: [{ way: 'training', isPaired: true, seeds: { both: 2 } }, { way: 'best' }, { way: 'end' }],
  });
  expect(stderr).toContain(`wrote ${svg}`);
  expect(readFileSync(svg, 'utf8')).toContain('win against kl');
  await expect(asPrinted(run('front', file, '--kl', 'kl', '--quality', 'wins'))).rejects.toThrow(
    /^--quality: no evaluation of .* has wins; did you mean win\?; it has kl, win/,
  );
});

/** Gold is `gain` times KL and the seed, at KL 1 and 2. */
const study = [1, 2, 3, 4].flatMap((seed) =>
  ([['dpo', 0.1, 1], ['dpo', 0.3, 2], ['hard', 0.3, 3 + seed / 2]] as const).flatMap(([arm, beta, gain]) =>
    [0, 1, 2].map((step) => ({
      ...{ arm, key: { 'loss.beta': beta }, seed, step, kl: { mean: step, se: 0.1 } },
      scores: { gold: { mean: seed + gain * step, se: 0.1 }, length: { mean: -gain * step, se: null } },
    })),
  ),
); // biome-ignore format: short

test('front prints the arms of a study over seeds, what was chosen, and the test of it', async () => {
  const file = write('results.jsonl', study);
  const csv = join(folder, 'front.csv');
  const all = await run('front', file, '--quality', 'gold', '--at', '1', '--csv', csv);
  // Ends of seeds 1 to 4 with gain 1: 3 to 6, whose standard error is 1.2910 / 2.
  const ends = ['4.5000 ± 0.6455', '2.00 ± 0.00'];
  expect(all.cells.slice(0, 2)).toEqual([
    ['arm', 'seeds', 'end gold', 'end kl', 'best gold', 'at kl', 'all reach'],
    ['dpo beta 0.1', '4', ...ends, ...ends, '2.00'],
  ]);
  expect(all.cells).toContainEqual(['hard beta 0.3 against dpo beta 0.3, paired by seed (4)']);
  expect(all.stderr).toContain(`wrote ${csv}`);
  expect(readFileSync(csv, 'utf8').split('\n')).toHaveLength(1 + study.length + 1);

  const seeds = ['--tune-seeds', '1', '2', '--test-seeds', '3', '4'];
  const json = join(folder, 'front.json');
  const { cells } = await run('front', file, '--quality', 'gold', '--at', '1', ...seeds, '--json', json);
  expect(cells.slice(0, 6)).toEqual([
    ['chosen by gold at the end; tuning seeds: 1, 2; test seeds: 3, 4'],
    ['setting', 'end gold', 'end KL'],
    ['dpo beta 0.1', '3.5000 ± 0.5000', '2.00 ± 0.00'],
    ['dpo beta 0.3', '5.5000 ± 0.5000', '2.00 ± 0.00', 'chosen'],
    ['hard beta 0.3', '9.0000 ± 1.0000', '2.00 ± 0.00', 'chosen'],
    [''],
  ]);
  expect(cells.filter(([line]) => line!.includes(' against '))).toEqual([
    ['hard beta 0.3 against dpo beta 0.3, paired by seed (2)'],
    ['hard against dpo, paired by seed (2)'],
  ]);
  const written = JSON.parse(readFileSync(json, 'utf8'));
  expect(written).toMatchObject({ choice: { by: 'gold', tuneSeeds: ['1', '2'] }, settings: { kl: 'kl' } });
  const one = write('one.jsonl', [
    { ...study[0], scores: { gold: { mean: null, se: null } }, step: 3 },
    ...study.slice(0, 3),
  ]);
  const alone = await run('front', one, '--quality', 'gold');
  expect(alone.cells[1]).toEqual(['dpo', '1', '-', '-', '3.0000', '2.00', '2.00']);
  expect(alone.stderr).toContain('the study has one arm: there is nothing to compare');
  expect(alone.stderr).toContain('one dpo loss.beta 0.1 seed 1 ended without a number: its last one is of step 2');
  const by = await run('front', file, '--quality', 'gold', ...seeds, '--by', 'length');
  expect(by.cells).toContainEqual(['dpo beta 0.1', '-2.0000 ± 0.0000', '2.00 ± 0.00', 'chosen']);
  const budget = await run('front', file, '--quality', 'gold', ...seeds, '--most-kl', '2');
  expect(budget.cells[0]![0]).toContain('by gold at the end within 2 nats;');
});

test.each([
  [['--tune-seeds', '1'], '--tune-seeds and --test-seeds are given together'],
  [['--by', 'gold'], '--by has no effect without --tune-seeds and --test-seeds'],
  [['--most-kl', '9'], '--most-kl has no effect without --tune-seeds and --test-seeds'],
  [['--tune-seeds', '1', '--test-seeds', '2', '--most-kl', '1'], 'within --most-kl 1: the least KL at an end is 2.00'],
  [['--tune-seeds', '1', '2', '--test-seeds', '2'], '--test-seeds: 2 is among --tune-seeds too'],
  [['--base', 'sofd'], '--base: no run is of sofd; there are dpo, hard'],
])('front refuses %j', async (flags, message) => {
  const file = write('results.jsonl', study);
  await expect(asPrinted(run('front', file, '--quality', 'gold', ...flags))).rejects.toThrow(message);
});
