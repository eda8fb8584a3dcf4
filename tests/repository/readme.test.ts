// README's recipe and its two commands, as they stand there, run in an empty folder on the fixtures.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { main } from '#reanchor/cli/main.js';
import { fixtures, repositoryRoot } from '../support/repository.js';

const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
const here = process.cwd();
let folder: string;
afterEach(() => {
  process.chdir(here);
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test("README's recipe trains and scores as printed", async () => {
  const [, name, recipe] = /```yaml\n# (\S+)\n(.*?)```/s.exec(readme)!;
  const commands = [...readme.matchAll(/^npx (reanchor (?:train|score) .*)$/gm)].map(([, command]) =>
    command!.split(' '),
  );
  expect(commands.map(([, verb]) => verb)).toEqual(['train', 'score']);

  folder = mkdtempSync(join(tmpdir(), 'reanchor-readme-'));
  process.chdir(folder);
  cpSync(join(fixtures, 'models/llama-tiny'), 'path/to/model', { recursive: true });
  const rows = readFileSync(join(fixtures, 'text/pairs.jsonl'), 'utf8');
  writeFileSync('pairs.jsonl', rows.repeat(3));
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
  expect(readFileSync('scores.jsonl', 'utf8').trim().split('\n').length).toBe(3 * 96);
});
