// The list of pages, from the tables of docs/README.md: a heading is a group, a row a page, its first line the title.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DefaultTheme } from 'vitepress';
import { libraryEntries, pageOf, root } from './repository.js';

const read = (path: string) => readFileSync(join(root, path), 'utf8');

const titleOf = (path: string) => /^# (.*)$/m.exec(read(path))![1]!;

const page = (path: string) => ({ text: titleOf(path), link: `/${pageOf(path).replace(/(index)?\.md$/, '')}` });

/** The pages of the site in their order, in the groups of docs/README.md, and those of the libraries. */
export function sidebar(): DefaultTheme.SidebarItem[] {
  const [, ...groups] = read('docs/README.md').split(/^## /m);
  return [
    ...groups.map((group) => ({
      text: group.slice(0, group.indexOf('\n')),
      items: [...group.matchAll(/^\| \[[^\]]*\]\(([^)]+\.md)\)/gm)].map(([, link]) => page(join('docs', link!))),
    })),
    {
      text: 'Library',
      items: libraryEntries().map(({ name }) => ({ text: name, link: `/api/${name}/` })),
    },
  ];
}
