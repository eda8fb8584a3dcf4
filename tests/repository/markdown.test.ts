import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.js';

const documents = [
  ...readdirSync(repositoryRoot),
  ...['bench', 'docs', 'packages', 'recipes', 'scripts', 'tests'].flatMap((folder) =>
    readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  ),
].filter((name) => name.endsWith('.md') && !name.includes('node_modules'));

const lines = (document: string) => readFileSync(join(repositoryRoot, document), 'utf8').split('\n');

/** Lines with their numbers from 1, without those of fenced code. */
function proseOf(text: string[]): { line: string; number: number }[] {
  let fence = '';
  return text.flatMap((line, index) => {
    const mark = /^ *(```|~~~)/.exec(line)?.[1] ?? '';
    if (mark !== '' && (fence === '' || mark === fence)) {
      fence = fence === '' ? mark : '';
      return [];
    }
    return fence === '' ? [{ line, number: index + 1 }] : [];
  });
}

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(text: string[]): Set<string> {
  const anchors = new Set<string>();
  for (const { line } of proseOf(text)) {
    const heading = /^#+ (.*)$/.exec(line)?.[1]?.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    if (heading === undefined) continue;
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-');
    let free = anchor;
    for (let count = 1; anchors.has(free); count += 1) free = `${anchor}-${count}`;
    anchors.add(free);
  }
  return anchors;
}

/** Links to files and headings that are not there, as `file:line: link`. */
const brokenLinks = (document: string, text = lines(document)): string[] =>
  proseOf(text).flatMap(({ line, number }) =>
    [...line.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? document : normalize(join(dirname(document), path));
        if (!existsSync(join(repositoryRoot, target))) return true;
        return anchor !== undefined && !anchorsOf(target === document ? text : lines(target)).has(anchor);
      })
      .map((link) => `${document}:${number}: ${link}`),
  );

const longest = 120;

/** Lines of prose that are too long, as `file:line: length`. Tables and code, fenced or indented, may be wider. */
const longLines = (document: string, text = lines(document)): string[] =>
  proseOf(text)
    .filter(({ line }) => [...line].length > longest && !/^ *\||^ {4}/.test(line))
    .map(({ line, number }) => `${document}:${number}: ${[...line].length}`);

describe('Markdown', () => {
  test(`lines have at most ${longest} columns outside of tables and code`, () => {
    expect(documents.flatMap((document) => longLines(document))).toEqual([]);
  });

  test('long lines are found in prose alone', () => {
    const long = 'x'.repeat(longest + 1);
    const text = [long, `- ${long}`, `  ${long}`, `| ${long} |`, `    ${long}`, '```', long, '```', long.slice(1)];
    expect(longLines('a.md', text)).toEqual([
      `a.md:1: ${longest + 1}`,
      `a.md:2: ${longest + 3}`,
      `a.md:3: ${longest + 3}`,
    ]);
  });

  test('every relative link leads to a file, and every anchor to a heading', () => {
    expect(documents).toContain('docs/architecture.md');
    expect(documents).toContain('tests/fixtures/README.md');
    expect(documents.flatMap((document) => brokenLinks(document))).toEqual([]);
  });

  test('broken links are found, those in code and those elsewhere are passed over', () => {
    const text = [
      '# One [two](x.md): `three`!',
      '# One two three',
      '[a](docs/none.md) [b](docs/architecture.md) [c](https://example.org/none)',
      '[d](#one-two-three) [e](#one-two-three-1) [f](#one-two-three-2) [g](docs/architecture.md#none)',
      '```',
      '[h](docs/none.md)',
      '```',
    ];
    expect(brokenLinks('README.md', text)).toEqual([
      'README.md:1: x.md',
      'README.md:3: docs/none.md',
      'README.md:4: #one-two-three-2',
      'README.md:4: docs/architecture.md#none',
    ]);
  });
});
