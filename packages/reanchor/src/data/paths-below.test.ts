import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '../errors.js';
import { pathsBelow } from './paths-below.js';
import { resolveSources } from './sources.js';

let root: string;
let folder: string;

const place = (path: string, text = '') => {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};
const link = (target: string, path: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'paths-below-'));
  folder = join(root, 'data');
  place('data/b.jsonl');
  place('data/a/c.jsonl');
});
afterEach(() => rmSync(root, { recursive: true }));

test('files of all folders, in the order of their paths', () => {
  expect(pathsBelow(folder)).toEqual(['a/c.jsonl', 'b.jsonl']);
  symlinkSync(folder, join(root, 'named'));
  expect(pathsBelow(join(root, 'named'))).toEqual(['a/c.jsonl', 'b.jsonl']);
});

describe('a link', () => {
  test.each([
    ['to the root of the disk', '/', 'data/x'],
    ['to a file elsewhere', '/etc/passwd', 'data/x.jsonl'],
    ['to the folder above', '../..', 'data/a/x'],
    ['to a folder beside it with a longer name', '../data-too', 'data/x'],
    ['to a file of another name', '../secret', 'data/README.md'],
    ['to a device', '/dev/zero', 'data/a/x.jsonl'],
    ['to a process', '/proc/self/environ', 'data/x'],
  ])('%s is refused by its name', async (_, target, path) => {
    place('secret');
    place('data-too/x.jsonl');
    link(target, path);
    expect(() => pathsBelow(folder)).toThrow(UserError);
    expect(() => pathsBelow(folder)).toThrow(/data\/\S+ is a link that leads out of \S+data: put a copy there/);
    await expect(resolveSources([folder], 'train')).rejects.toThrow(/is a link that leads out of/);
  });

  test('to another link is followed to the end', () => {
    place('secret');
    link('../secret', 'data/second');
    link('second', 'data/a.first');
    expect(() => pathsBelow(folder)).toThrow(/a\.first is a link that leads out|second is a link that leads out/);
  });

  test('to a file inside is read, one to a folder inside, or in a circle, adds nothing', () => {
    link('b.jsonl', 'data/same.jsonl');
    link('a', 'data/again');
    link('.', 'data/loop');
    link('..', 'data/a/above');
    link('nowhere', 'data/broken.jsonl');
    link('self', 'data/self');
    expect(pathsBelow(folder)).toEqual(['a/c.jsonl', 'b.jsonl', 'broken.jsonl', 'same.jsonl', 'self']);
  });
});

test('a snapshot of the Hub’s cache leads to the blobs of its own repository, and no further', () => {
  const snapshot = `datasets--o--n/snapshots/${'a'.repeat(40)}`;
  place('datasets--o--n/blobs/1');
  link('../../../blobs/1', `${snapshot}/data/train.jsonl`);
  expect(pathsBelow(join(root, snapshot))).toEqual(['data/train.jsonl']);
  expect(pathsBelow(join(root, snapshot, 'data'))).toEqual(['train.jsonl']);
  const other = place('datasets--other--n/blobs/2');
  symlinkSync(other, join(root, 'datasets--o--n/blobs/3'));
  link('../../../blobs/3', `${snapshot}/data/test.jsonl`);
  expect(() => pathsBelow(join(root, snapshot))).toThrow(/test\.jsonl is a link that leads out/);
});

test('what is no file is among them, so that reading refuses it', () => {
  spawnSync('mkfifo', [join(folder, 'pipe.jsonl')]);
  expect(pathsBelow(folder)).toContain('pipe.jsonl');
});
