// The commands of docs/guide/evaluation.md, as they stand there, run in an empty folder against a judge on the loopback
// interface.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';
import { testServer, tokenLogprobs } from '#reanchor/eval/judge/testing/server.js';
import { dataFolder, repositoryRoot } from '../support/repository.js';

const commands = [
  ...readFileSync(join(repositoryRoot, 'docs/guide/evaluation.md'), 'utf8').matchAll(/^npx reanchor (eval .*)$/gm),
].map(([, command]) => command!);
const here = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'reanchor-evaluation-'));
afterAll(() => {
  process.chdir(here);
  rmSync(folder, { recursive: true });
});

const prompts = ['one', 'two', 'three', 'four'];
const file = (name: string, rows: object[]) =>
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
for (const model of ['mine', 'base']) {
  file(
    `${model}.jsonl`,
    prompts.map((prompt, i) => ({ uid: prompt, prompt, completion: `${model} `.repeat(i + 1), model })),
  );
}
file(
  'questions.jsonl',
  prompts.map((prompt) => ({ uid: prompt, category: 'hard_prompt', prompt })),
);
file(
  'judgments.jsonl',
  prompts.map((uid, i) => {
    const games = [{ score: i % 2 ? 'B>A' : 'A=B' }, { score: 'A>>B' }];
    return { uid, category: 'hard_prompt', model: 'mine', baseline: 'base', games };
  }),
);
file(
  'prompts.jsonl',
  prompts.map((prompt) => ({ prompt })),
);
file(
  'results.jsonl',
  ['dpo', 'tr-dpo'].flatMap((method) =>
    [0, 1, 2].map((step) => ({ method, base: 'dpo', step, 'kl/initial': step, 'rewards/accuracies': step / 4 })),
  ),
);
mkdirSync(join(folder, 'study'));
file(
  'study/results.jsonl',
  [1, 2, 3, 4].flatMap((seed) =>
    ['dpo', 'hard'].flatMap((arm) =>
      [0, 1, 2].map((step) => {
        const kl = { mean: step * seed, se: 0.1 };
        return { arm, key: { 'loss.beta': 0.1 }, seed, step, scores: { gold: kl }, kl, distinct2: 1, grad_norm: null };
      }),
    ),
  ),
);
file(
  'pairs.jsonl',
  prompts.map((prompt) => ({ prompt, chosen: `${prompt} and one`, rejected: 'none' })),
);
const tiny = join(repositoryRoot, 'tests/fixtures/models/llama-tiny');
const ratings = ['coherence', 'correctness', 'helpfulness', 'harmlessness', 'detail'].map((name) => `${name}: 6`);

describe('every example of docs/guide/evaluation.md runs', () => {
  test('there are examples of every verb', () => {
    for (const verb of ['alpaca', 'arena', 'winrate', 'ratings', 'kl', 'logps', 'diversity', 'front'])
      expect(commands.join('\n')).toContain(`eval ${verb} `);
  });

  test.each(commands)('%s', async (command) => {
    if (command.includes('$DATA') && !dataFolder) return;
    await using server = await testServer(() => ({
      text: ['Winner: A', '[[A>B]]', ...ratings].join('\n'),
      logprobs: tokenLogprobs({ m: -0.5, M: -1 }),
    }));
    process.chdir(folder);
    const words = command
      .replaceAll('$DATA', join(dataFolder ?? '', 'eval/alpaca_eval'))
      .replaceAll('$MODEL', tiny)
      .replaceAll('$JUDGE', tiny)
      .replaceAll('$SFT', tiny)
      .replaceAll('http://127.0.0.1:8000/v1', server.url)
      .split(' ');
    let result = '';
    const quiet = { write: () => true };
    const terminal = new Terminal({ stdout: { write: (text) => (result += text) }, stderr: quiet, env: {} });
    await commandLine(terminal).parseAsync(['node', 'reanchor', ...words]);
    expect(result.split('\n').length).toBeGreaterThan(2);
    for (const [, written] of command.matchAll(/--(?:json|html|out|svg|csv) (\S+)/g))
      expect(readdirSync(folder)).toContain(written);
  });
});
