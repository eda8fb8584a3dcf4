import { readFileSync } from 'node:fs';

/** What this package says of itself, in its package.json. */
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
  repository: { url: string };
};

/** The version of this package. */
export const packageVersion = (): string => manifest.version;

/** The address of a page of the documentation, which is not installed; `page` as in `guide/parallel.md`. */
export const documentation = (page: string): string =>
  `${manifest.repository.url.replace(/^git\+|\.git$/g, '')}/blob/main/docs/${page}`;
