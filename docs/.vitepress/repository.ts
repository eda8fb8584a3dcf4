// The repository on disk and on the web, and what its Markdown links to.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MarkdownRenderer } from 'vitepress';

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Where the repository is on the web: the one place is the `repository` of the package. */
export const address: string = JSON.parse(
  readFileSync(join(root, 'packages/reanchor/package.json'), 'utf8'),
).repository.url.replace(/^git\+|\.git$/g, '');

/** The place of a page in the site, from its place in the repository: `docs/guide/x.md` is `guide/x.md`. */
export function pageOf(path: string): string {
  if (path === 'docs/README.md') return 'contents.md';
  return path.replace(/^(docs|site)\//, '').replace(/(^|\/)README\.md$/, '$1index.md');
}

/** The anchor of a heading, as GitHub makes it. */
export const slugOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');

const isPage = (path: string) => /^(docs\/.*|site\/.*|[A-Z]+)\.md$/.test(path);

/** Where a relative link of a file leads in the site: a page of it, or a file of the repository on the web. */
function target(link: string, from: string): string {
  const [path = '', anchor] = link.split('#');
  const file = relative(root, join(dirname(from), path));
  if (!existsSync(join(root, file))) throw new Error(`${relative(root, from)}: ${link} leads to no file`);
  const end = anchor === undefined ? '' : `#${anchor}`;
  if (isPage(file)) return `/${pageOf(file)}${end}`;
  return `${address}/${statSync(join(root, file)).isDirectory() ? 'tree' : 'blob'}/main/${file}${end}`;
}

/** Has relative links of pages, which are written for the files, lead to the same things in the site. */
export function linkPages(markdown: MarkdownRenderer): void {
  markdown.core.ruler.after('inline', 'pages', ({ tokens, env }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const link = token.type === 'link_open' ? token.attrGet('href')! : '#';
      if (!/^([a-z]+:|#|\/)/.test(link)) token.attrSet('href', target(decodeURI(link), env.realPath ?? env.path));
    }
  });
}

/** What programs may import: the entries of the libraries by the `exports` of their packages, and their sources. */
export function libraryEntries(): { name: string; source: string }[] {
  return ['packages/reanchor', 'packages/torch'].flatMap((folder) => {
    const { name, exports } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    // A file that is no module, such as a schema, is exported by a text.
    const modules = Object.entries<{ default: string } | string>(exports).filter(
      ([, entry]) => typeof entry !== 'string',
    );
    return (modules as [string, { default: string }][]).map(([path, { default: built }]) => ({
      name: name + path.slice(1),
      source: join(folder, built.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts')),
    }));
  });
}
