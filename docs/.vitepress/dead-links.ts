// Links of the built site, looked up in what was built: in files and in the anchors of files.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const all = (html: string, pattern: RegExp) => [...html.matchAll(pattern)].map(([, value]) => value!);

/** Throws an error that names every link of a built page to a page, a file or an anchor that is not there. */
export function checkLinks(folder: string): void {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const texts = new Map(
    files.filter((file) => file.endsWith('.html')).map((file) => [file, readFileSync(join(folder, file), 'utf8')]),
  );
  const anchors = new Map([...texts].map(([file, html]) => [file, new Set(all(html, / id="([^"]+)"/g))]));
  const dead = [...texts].flatMap(([file, html]) =>
    [...new Set(all(html, / (?:href|src)="([^"]+)"/g))]
      .filter((link) => !leads(link, file))
      .map((link) => `${file}: ${link}`),
  );
  if (dead.length > 0) throw new Error(`links that lead nowhere:\n  ${dead.join('\n  ')}`);

  function leads(link: string, from: string): boolean {
    const { origin, pathname, hash } = new URL(link.replaceAll('&amp;', '&'), `http://site/${from}`);
    if (origin !== 'http://site') return true;
    const path = decodeURIComponent(pathname).slice(1);
    const file = path === '' || path.endsWith('/') ? `${path}index.html` : path;
    if (!anchors.has(file)) return hash === '' && files.includes(file);
    return hash === '' || anchors.get(file)!.has(decodeURIComponent(hash.slice(1)));
  }
}
