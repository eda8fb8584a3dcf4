import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkLinks } from '../../docs/.vitepress/dead-links.js';
import { libraryEntries, pageOf } from '../../docs/.vitepress/repository.js';

test('a built page whose link leads to no page, file or anchor is named with the link', () => {
  const folder = mkdtempSync(join(tmpdir(), 'reanchor-links-'));
  mkdirSync(join(folder, 'guide'));
  writeFileSync(join(folder, 'icon.svg'), '');
  writeFileSync(
    join(folder, 'index.html'),
    '<a href="/guide/a.html#there">a</a> <img src="/icon.svg"> <a href="/guide/">b</a>',
  );
  const links = [
    '#there',
    './a.html#there',
    '../index.html',
    '/',
    'https://example.org/x#y',
    '#none',
    'b.html',
    '/#there',
  ];
  const page = `<h2 id="there">${links.map((link) => `<a href="${link}">`).join('')}`;
  writeFileSync(join(folder, 'guide/a.html'), page);
  expect(() => checkLinks(folder)).toThrow(
    /nowhere:\n {2}guide\/a.html: #none\n {2}guide\/a.html: b.html\n {2}guide\/a.html: \/#there\n {2}index.html: \/guide\/$/,
  );
  writeFileSync(join(folder, 'guide/a.html'), page.replace(/<a href="(#none|b.html|\/#there)">/g, ''));
  writeFileSync(join(folder, 'guide/index.html'), '');
  checkLinks(folder);
  rmSync(folder, { recursive: true });
});

test('pages have the places of their files, and what packages export has its source', () => {
  expect(
    ['README.md', 'docs/README.md', 'docs/log/README.md', 'docs/guide/start.md', 'CONTRIBUTING.md'].map(pageOf),
  ).toEqual(['index.md', 'contents.md', 'log/index.md', 'guide/start.md', 'CONTRIBUTING.md']);
  expect(libraryEntries()).toContainEqual({ name: 'reanchor/stats', source: 'packages/reanchor/src/stats/index.ts' });
  expect(libraryEntries()).toContainEqual({ name: '@reanchor/torch', source: 'packages/torch/src/index.ts' });
});
