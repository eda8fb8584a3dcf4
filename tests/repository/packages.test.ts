// What the three packages say of themselves where they are published.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot, sourceFiles } from '../support/repository.js';

const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');
const root = JSON.parse(read('package.json'));
const address: string = root.repository.replace(/^git\+|\.git$/g, '');

test('the packages have one version, and ask for it of each other', () => {
  const manifests = (root.workspaces as string[]).map((folder) => JSON.parse(read(`${folder}/package.json`)));
  const versions = new Map<string, string>(manifests.map(({ name, version }) => [name, version]));
  expect(new Set(versions.values()).size).toBe(1);
  for (const { name, dependencies } of manifests) {
    for (const [dependency, range] of Object.entries<string>(dependencies ?? {})) {
      if (versions.has(dependency)) expect(range, `${name}: ${dependency}`).toBe(versions.get(dependency));
    }
  }
});

describe.each(root.workspaces as string[])('%s', (folder) => {
  const manifest = JSON.parse(read(`${folder}/package.json`));

  test('has the address of the repository, which package.json of the root has', () => {
    expect(manifest).toMatchObject({
      homepage: `${address}#readme`,
      bugs: `${address}/issues`,
      repository: { type: 'git', url: root.repository, directory: folder },
    });
  });

  test('has a README whose links lead there from anywhere, and the licence', () => {
    const links = [...read(`${folder}/README.md`).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) {
      expect(link.startsWith(address) || link.startsWith('https://www.npmjs.com/package/'), link).toBe(true);
      const page = new RegExp(`^${address}/blob/main/([^#]*)`).exec(link)?.[1];
      if (page) expect(read(page).length).toBeGreaterThan(0);
    }
    expect(read(`${folder}/LICENSE`)).toBe(read('LICENSE'));
    expect(manifest.license).toBe(root.license);
  });

  test('is built before it is packed, and published for all with its provenance', () => {
    expect(manifest.scripts.prepack).toMatch(/^(tsc -b|vite build)/);
    expect(manifest.publishConfig).toEqual({ access: 'public', provenance: true });
    expect(manifest.keywords.length).toBeGreaterThan(3);
    expect(manifest.engines).toEqual(root.engines);
  });
});

test('every page that a message of the packages names is there', () => {
  const named = sourceFiles('packages/reanchor/src')
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/documentation\('([^']+)'\)/g)])
    .map(([, page]) => page!);
  expect(new Set(named).size).toBeGreaterThan(5);
  for (const page of named) expect(read(`docs/${page}`)).toMatch(/^# /);
});

test('no text of the packages names a page by a path, which is not there where they are installed', () => {
  const named = sourceFiles('packages')
    .filter((file) => !file.endsWith('.test.ts') && !file.includes('/testing/'))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => /docs\/(guide|reference|log)\//.test(line) && !/^\s*(\/\/|\/\*|\*)/.test(line))
        .map((line) => `${relative(repositoryRoot, file)}: ${line.trim()}`),
    );
  expect(named).toEqual([]);
});
