/** What chat templates may write of the moment at which they are rendered. */
import { strftime } from './strftime.js';

/**
 * What the formats that Jinja sources ask `strftime_now` for make of a moment: two moments for which it is the same
 * give the same texts. Of a source that asks in another way than by a text of its own, the moment itself.
 */
export function writtenMoments(sources: readonly string[], now: Date): string[] {
  return sources.flatMap((source) => {
    const calls = [...source.matchAll(/strftime_now\s*\(\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*\)/g)];
    const mentions = source.match(/strftime_now(?!\s+is\s+(?:not\s+)?defined\b)/g) ?? [];
    if (mentions.length > calls.length) return [now.toISOString()];
    return calls.map(([, single, double]) => strftime(now, single ?? double!));
  });
}
