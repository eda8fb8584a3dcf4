// The check of .ci/run on the subjects of commits; here on subjects, and on a repository of its own.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { subjectProblem, subjectProblems } from '../support/commit-subjects.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'commits-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const git = (args: string[], date = '2026-12-01T00:00:00Z') =>
  execFileSync('git', ['-C', folder, ...args], {
    encoding: 'utf8',
    env: {
      ...process.env,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_DATE: date,
      GIT_COMMITTER_DATE: date,
      ...Object.fromEntries(
        ['AUTHOR', 'COMMITTER'].flatMap((who) => [
          [`GIT_${who}_NAME`, 'a'],
          [`GIT_${who}_EMAIL`, 'a@example.org'],
        ]),
      ),
    },
  });
const commit = (subject: string, date?: string) => git(['commit', '--allow-empty', '-q', '-m', subject], date);

describe('the subject of a commit', () => {
  test.each([
    'losses: IPO averages over tokens',
    'cli, docs: a verb of its own',
    'torch/native: operators by schema',
    `docs: ${'x'.repeat(66)}`,
    'Merge branch into main',
  ])('may be %s', (subject) => expect(subjectProblem(subject)).toBeUndefined());

  test.each([
    ['IPO averages over tokens', 'names no area'],
    ['Losses: IPO averages over tokens', 'names no area'],
    ['losses:', 'names no area'],
    ['in losses IPO: averages', 'names no area'],
    ['', 'names no area'],
    [`docs: ${'x'.repeat(67)}`, 'has 73 characters, 72 are allowed'],
    [`Merge ${'x'.repeat(67)}`, 'has 73 characters, 72 are allowed'],
  ])('may not be "%s"', (subject, problem) => expect(subjectProblem(subject)).toContain(problem));
});

test('commits before the rule are passed over, newer ones are named, in shallow clones too', () => {
  git(['init', '-q']);
  commit('An old commit without an area', '2026-11-01T00:00:00Z');
  commit('losses: IPO averages over tokens');
  expect(subjectProblems(folder)).toEqual([]);
  commit('A new commit without an area');
  commit('docs: the last one');
  const found = [expect.stringMatching(/^[0-9a-f]+ A new commit without an area: names no area in front/)];
  expect(subjectProblems(folder)).toEqual(found);
  const clone = join(folder, 'clone');
  git(['clone', '-q', '--depth', '2', `file://${folder}`, clone]);
  expect(subjectProblems(clone)).toEqual(found);
});
