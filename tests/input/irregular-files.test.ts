// What is no regular file is refused by its name, at once, by every reader of what comes from elsewhere. A reader that
// waits for a pipe blocks its whole process, so that they run in one of their own, which is given a time.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';
import { irregularKinds, readerNames } from './read-irregular.js';

const folder = mkdtempSync(join(tmpdir(), 'irregular-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Told {
  reader: string;
  kind: string;
  name?: string;
  message: string;
}

test('every reader refuses every kind of what is no file, by its path', () => {
  const script = fileURLToPath(new URL('read-irregular.ts', import.meta.url));
  const { stdout, stderr, signal } = spawnSync(process.execPath, ['--import', 'tsx', script, folder], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    timeout: 50_000,
    killSignal: 'SIGKILL',
  });
  const told = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Told);
  const last = told.at(-1);
  expect(signal, `after ${last?.reader} of a ${last?.kind}\n${stderr}`).toBeNull();
  expect(told.length, stderr).toBe(readerNames.length * irregularKinds.length);
  const wrong = told.filter(({ kind, message, name }) => {
    const isOurs = /^(UserError|UsageError|RecipeError|FormatError|NotReadable)$/.test(name ?? '');
    // A file that is read and written on is opened for both.
    const says = new RegExp(`INPUT (is a ${kind}|cannot be written)|extends: .* lies elsewhere`);
    return !isOurs || !says.test(message);
  });
  expect(wrong).toEqual([]);
});
