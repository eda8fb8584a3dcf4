import { type CachedTokens, listTokens, removeTokens, tokensFolder } from '../tokens/index.js';
import { numberFlag } from './flags.js';
import { bytesText, countOf, number } from './progress.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `cache` as commander gives them. */
export interface CacheFlags {
  clear?: boolean | undefined;
  unusedFor?: string | undefined;
  json?: boolean | undefined;
}

const dayMs = 86_400_000;

/** `reanchor cache`: the rows that are kept as tokens, or without them. */
export function cacheVerb({ clear, unusedFor = '0', json }: CacheFlags, terminal: Terminal, now = Date.now()): void {
  const folder = tokensFolder();
  const days = numberFlag('--unused-for', unusedFor, { min: 0 });
  const files =
    folder === undefined ? [] : listTokens(folder).filter(({ used }) => now - used.getTime() >= days * dayMs);
  if (json) {
    terminal.result(JSON.stringify({ folder, files }, null, 2));
  } else if (folder === undefined) {
    terminal.result('REANCHOR_TOKENS is off: no rows are kept');
  } else {
    if (files.length > 0) for (const line of table(rowsOf(files), 'left')) terminal.result(line);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    terminal.result(`${countOf(files.length, 'file')}, ${bytesText(bytes)} in ${folder}`);
  }
  if (!clear) return;
  removeTokens(files);
  if (files.length > 0) terminal.note(`deleted ${countOf(files.length, 'file')}`);
}

const rowsOf = (files: readonly CachedTokens[]) => [
  ['name', 'rows', 'size', 'used', 'of'],
  ...files.map(({ name, rows, bytes, used, sources }) => [
    name.slice(0, 12),
    rows === undefined ? 'not whole' : number(rows),
    bytesText(bytes),
    used.toISOString().slice(0, 16).replace('T', ' '),
    sources.length > 2 ? `${sources[0]} and ${sources.length - 1} more` : sources.join(', '),
  ]),
];
