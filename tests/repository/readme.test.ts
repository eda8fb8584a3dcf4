// The recipes of README and of the guide to a first run, and their commands, as they stand there, run in an empty
// folder on the fixtures.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { main } from '#reanchor/cli/main.js';
import { fixtures, repositoryRoot } from '../support/repository.js';

const here = process.cwd();
let folder: string;
afterEach(() => {
  process.chdir(here);
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** The words of a command as a shell splits them; quotes stand around whole words. */
const wordsOf = (command: string) =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);

test.each([
  ['README.md', ['train', 'score'], 3 * 96],
  ['docs/guide/first-run.md', ['tokens', 'estimate', 'train', 'score', 'eval', 'generate'], 96],
])('the recipe and the commands of %s run as printed', async (document, verbs, scored) => {
  const text = readFileSync(join(repositoryRoot, document), 'utf8');
  const [, name, recipe] = /```yaml\n# (\S+)\n(.*?)```/s.exec(text)!;
  const fenced = [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, lines]) => lines!).join('');
  const commands = [...fenced.matchAll(/^npx (reanchor .*)$/gm)].map(([, command]) => wordsOf(command!));
  expect(commands.map(([, verb]) => verb)).toEqual(verbs);

  folder = mkdtempSync(join(tmpdir(), 'reanchor-readme-'));
  process.chdir(folder);
  cpSync(join(fixtures, 'models/llama-tiny'), 'path/to/model', { recursive: true });
  const rows = readFileSync(join(fixtures, 'text/pairs.jsonl'), 'utf8');
  writeFileSync('pairs.jsonl', rows.repeat(3));
  writeFileSync('held-out.jsonl', rows);
  writeFileSync(name!, recipe!);

  const written: string[] = [];
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  }
  for (const command of commands) {
    await main(['node', ...command]);
    expect(process.exitCode ?? 0, written.join('')).toBe(0);
  }
  expect(existsSync('runs/first/final/model.safetensors')).toBe(true);
  expect(readFileSync('scores.jsonl', 'utf8').trim().split('\n').length).toBe(scored);
});
