import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readRecipe } from '../recipe/index.js';
import { main } from './main.js';

/** Runs `from-trl` on a configuration in a folder of its own. */
async function fromTrl(text: string, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'from-trl-'));
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await main(['node', 'reanchor', 'from-trl', file, ...args.map((arg) => arg.replace('FOLDER', folder))]);
  const printed = (spy: typeof stdout) => spy.mock.calls.map(([chunk]) => String(chunk)).join('');
  return { folder, status: process.exitCode, stdout: printed(stdout), stderr: printed(stderr) };
}
afterEach(() => {
  vi.restoreAllMocks();
  process.stdout.removeAllListeners('error');
  process.exitCode = undefined;
});

const named = 'model_name_or_path: acme/m\ndataset_name: acme/d\n';

it('prints a recipe that can be trained by, tells what is assumed, and ends with 0', async () => {
  const { folder, status, stdout, stderr } = await fromTrl(`${named}sync_ref_model: true\npush_to_hub: true\n`);
  expect(status).toBe(0);
  const file = join(folder, 'recipe.yaml');
  writeFileSync(file, stdout);
  expect(readRecipe(file, { env: {} })).toMatchObject({ reference: { update: 'mixed', alpha: 0.6, tau: 512 } });
  expect(stderr).toMatch(
    /^note: batch\.size: 8 rows x 1 accumulated x 1 process = 8 rows a step: one process is assumed/m,
  );
  expect(stderr).toMatch(/^without effect here: push_to_hub$/m);
  expect(stderr).not.toContain('not translated');
});

it('tells what could not be translated, and ends with 3', async () => {
  const { status, stdout, stderr } = await fromTrl(`${named}beta: 0.1\nlr_scheduler_type: cosine\n`);
  expect(status).toBe(3);
  expect(stderr).toMatch(/^not translated: lr_scheduler_type: cosine is not here/m);
  expect(stdout).toMatch(/^# Not translated, .*\n# {3}lr_scheduler_type: cosine is not here/m);
});

it('writes the recipe into a file, for so many processes and the trainer that is named', async () => {
  const args = ['--out', 'FOLDER/recipe.yaml', '--processes', '4', '--trainer', 'kto'];
  const { folder, status, stdout } = await fromTrl(named, ...args);
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  expect(readRecipe(join(folder, 'recipe.yaml'), { env: {} })).toMatchObject({ method: 'kto', batch: { size: 32 } });
  expect(readFileSync(join(folder, 'recipe.yaml'), 'utf8')).toMatch(/^# The recipe of .*config\.yaml/);
});

it.each([
  [named, [], /does not say which trainer it is for: name it with --trainer \(cpo, kto, sft, orpo, dpo\)/],
  [named, ['--trainer', 'grpo'], /--trainer: "grpo" is not allowed; dpo, kto, sft, cpo, orpo are/],
  [`${named}beta: 1\n`, ['--processes', '0'], /--processes: "0" is not allowed/],
  ['base_model: m\nrl: grpo\n', [], /rl: grpo, which trains on what the policy writes/],
])('of %j with %j is wrong usage', async (text, args, message) => {
  const { status, stdout, stderr } = await fromTrl(text, ...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
});

it('of what is no map of options is an error with its place', async () => {
  const { status, stderr } = await fromTrl('beta: [1\n');
  expect(status).toBe(1);
  expect(stderr).toMatch(/config\.yaml:\d+:\d+: /);
});
