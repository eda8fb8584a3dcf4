import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  plainAddress,
  prebuiltManifest,
  publishedManifest,
  releasedChangelog,
  versionProblem,
  warningsOf,
  withVersion,
} from '../../scripts/release-files.js';
import { repositoryRoot } from '../support/repository.js';

const torch = JSON.parse(readFileSync(join(repositoryRoot, 'packages/torch/package.json'), 'utf8'));

describe('a version', () => {
  test.each([
    ['0.2.0', '0.1.9'],
    ['0.1.0', '0.1.0'],
    ['1.0.0', '0.9.9'],
    ['0.10.0', '0.9.0'],
    ['0.2.0', '0.2.0-beta.1'],
    ['0.2.0-beta.2', '0.2.0-beta.1'],
    ['0.2.0-beta.1', '0.1.0'],
  ])('%s can follow %s', (version, current) => expect(versionProblem(version, current)).toBeUndefined());

  test.each([
    ['0.1.0', '0.2.0', /is before 0.2.0/],
    ['0.9.0', '0.10.0', /is before/],
    ['0.2.0-beta.1', '0.2.0', /is before/],
    ['0.2.0-beta.1', '0.2.0-beta.2', /is before/],
    ['v0.2.0', '0.1.0', /"v0.2.0" is no version: give one such as 0.2.0/],
    ['0.2', '0.1.0', /no version/],
    ['', '0.1.0', /no version/],
  ])('%s cannot follow %s', (version, current, words) => expect(versionProblem(version, current)).toMatch(words));
});

test('a release moves the version, and what the packages ask of each other, and nothing else', () => {
  const manifest = { name: 'a', version: '1.0.0', dependencies: { b: '1.0.0', yaml: '^2.0.0' }, type: 'module' };
  expect(withVersion(manifest, '1.1.0', ['a', 'b'])).toEqual({
    ...manifest,
    version: '1.1.0',
    dependencies: { b: '1.1.0', yaml: '^2.0.0' },
  });
  expect(withVersion({ name: 'b', version: '1.0.0' }, '1.1.0', ['a'])).toEqual({ name: 'b', version: '1.1.0' });
});

describe('the changelog', () => {
  const old = '## 0.1.0, 2026-01-01\n\n- First.\n';
  test('has what is unreleased below the version and the date, and an empty place above', () => {
    const text = `# Changelog\n\n## Unreleased\n\n- New.\n\n${old}`;
    const released = releasedChangelog(text, '0.2.0', '2026-02-03');
    expect(released).toBe(`# Changelog\n\n## Unreleased\n\nNothing yet.\n\n## 0.2.0, 2026-02-03\n\n- New.\n\n${old}`);
    expect(releasedChangelog(released, '0.2.0', '2026-02-04')).toBe(released);
    expect(() => releasedChangelog(released, '0.3.0', '2026-02-04')).toThrow('a release says what has changed');
  });

  test('without anything to release is an error', () => {
    expect(() => releasedChangelog(`# Changelog\n\n${old}`, '0.2.0', '')).toThrow('no heading "## Unreleased"');
    expect(() => releasedChangelog(`## Unreleased\n\n${old}`, '0.2.0', '')).toThrow('nothing below');
  });

  test('of this repository can be released', () => {
    const text = readFileSync(join(repositoryRoot, 'CHANGELOG.md'), 'utf8');
    expect(releasedChangelog(text, '999.0.0', '2026-02-03')).toContain('\n## 999.0.0, 2026-02-03\n\n');
  });
});

test('what is published asks for the addon of its version, and keeps nothing that only the repository needs', () => {
  const prebuilt = { name: '@reanchor/torch-linux-x64-gnu', version: torch.version };
  const published = publishedManifest(torch, prebuilt);
  expect(published).toMatchObject({ name: torch.name, exports: torch.exports, publishConfig: torch.publishConfig });
  expect(published.optionalDependencies).toEqual({ '@reanchor/torch-linux-x64-gnu': torch.version });
  expect(Object.keys(published)).not.toContain('scripts');
  expect(publishedManifest({ ...torch, name: 'reanchor' }, prebuilt).optionalDependencies).toBeUndefined();
  // npm ci would fail as long as the package is not published.
  expect(torch.optionalDependencies).toBeUndefined();
});

test.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
  'the package with the addon is installed on its platform alone',
  () => {
    expect(prebuiltManifest(torch, 'torch-2.13.0-0123')).toMatchObject({
      ...{ name: '@reanchor/torch-linux-x64-gnu', version: torch.version, files: ['torch-2.13.0-0123'] },
      ...{ os: ['linux'], cpu: ['x64'], libc: ['glibc'], publishConfig: { access: 'public', provenance: true } },
    });
  },
);

test('addresses of one repository are one, however they are written', () => {
  for (const url of [
    'git+https://github.com/owner/name.git',
    'https://github.com/owner/name',
    'https://token@github.com/owner/name.git\n',
    'git@github.com:owner/name.git',
    'ssh://git@github.com/owner/name.git',
  ]) {
    expect(plainAddress(url), url).toBe('github.com/owner/name');
  }
});

test('warnings of npm are found among its notices', () => {
  const output = 'npm notice name: reanchor\nnpm warn publish "bin" was normalized\nnpm error code E403\nelse\n';
  const login = 'npm warn publish This command requires you to be logged in to https://registry.npmjs.org/ (dry-run)\n';
  expect(warningsOf(login + output)).toEqual(['npm warn publish "bin" was normalized', 'npm error code E403']);
});
