import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';

let root: string;
const place = (path: string, text = '') => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'launcher-'));
  cpSync(join(repositoryRoot, 'packages/reanchor/bin/reanchor.js'), join(root, 'packages/reanchor/bin/reanchor.js'));
  place('packages/reanchor/package.json', '{"type": "module"}');
});
afterEach(() => rmSync(root, { recursive: true }));

const launch = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'packages/reanchor/bin/reanchor.js'), ...args],
    { encoding: 'utf8' },
  );
  return { status, stdout, stderr };
};

test('a clone that has not been built says what to run', () => {
  place('tsconfig.base.json', '{}');
  expect(launch('--version')).toEqual({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: reanchor is not built \(Cannot find module .*main\.js.*\): run in \S+: npm run build && npm run setup\n$/,
    ),
  });
});

test('one whose packages are not there says so, and an installed one to install it again', () => {
  place('packages/reanchor/dist/cli/main.js', "import 'no-such-package';");
  expect(launch().stderr).toMatch(
    /^error: reanchor is not whole \(Cannot find package .*\): install it again: npm install/,
  );
  place('tsconfig.base.json', '{}');
  expect(launch()).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^error: reanchor is not whole \(Cannot find package 'no-such-package'.*\): run in \S+: npm ci\n$/,
    ),
  });
});

test('another error is not hidden', () => {
  place('packages/reanchor/dist/cli/main.js', "throw new TypeError('x');");
  expect(launch()).toMatchObject({ status: 1, stderr: expect.stringMatching(/TypeError: x/) });
});

test('what is built is run with its arguments', () => {
  place('packages/reanchor/dist/cli/main.js', 'export const main = (argv) => console.log(argv.slice(2).join());');
  expect(launch('a', 'b c')).toEqual({ status: 0, stdout: 'a,b c\n', stderr: '' });
});
