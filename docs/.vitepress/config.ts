// The site over the Markdown of the repository: `npm run docs` serves it, `npm run docs:build` writes it to site/dist.
// A page joins by its row in docs/README.md; README.md, CONTRIBUTING.md and CHANGELOG.md are pages as well.
import { join } from 'node:path';
import { tex } from '@mdit/plugin-tex';
import { defineConfig } from 'vitepress';
import { sidebar } from './contents.js';
import { checkLinks } from './dead-links.js';
import { formula } from './formula.js';
import { address, linkPages, pageOf, root, slugOf } from './repository.js';

export default defineConfig({
  title: 'reanchor',
  description: 'Trust-region preference alignment (TR-DPO) of language models, in TypeScript on libtorch',
  lang: 'en-GB',
  srcDir: '..',
  srcExclude: ['{bench,packages,recipes,runs,scripts,tests,node_modules,site/dist}/**'],
  outDir: '../site/dist',
  cacheDir: '../site/cache',
  rewrites: pageOf,
  head: [
    ['link', { rel: 'icon', type: 'image/svg+xml', href: '/icon.svg' }],
    ['meta', { name: 'theme-color', content: '#0b5cad' }],
  ],
  markdown: {
    anchor: { slugify: slugOf },
    config: (markdown) => {
      linkPages(markdown);
      markdown.use(tex, { render: formula });
    },
  },
  vite: { publicDir: join(root, 'packages/dashboard/public'), build: { chunkSizeWarningLimit: 4096 } },
  buildEnd: ({ outDir }) => checkLinks(outDir),
  themeConfig: {
    nav: [
      { text: 'Start', link: '/guide/start' },
      { text: 'All pages', link: '/contents' },
      { text: 'Library', link: '/api/' },
    ],
    sidebar: sidebar(),
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: address }],
    editLink: { pattern: `${address}/edit/main/:path`, text: 'Change this page' },
    logo: '/icon.svg',
    externalLinkIcon: false,
  },
});
