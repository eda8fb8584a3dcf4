/** Texts to imitate out of comparisons: of each post the summaries that nobody liked less than another. */
import { createHash } from 'node:crypto';
import type { RawRecord } from '../formats/index.js';
import { isRecord } from '../formats/index.js';
import { numberOf } from './values.js';

/** How many comparisons, different preferred summaries, and preferred ones that are never rejected. */
export interface PreferenceCounts {
  comparisons: number;
  preferred: number;
  kept: number;
}

/**
 * The comparisons (of form `tldr`) whose preferred summary is preferred in every comparison of its post that it is in,
 * the first one for each such summary, in order. `read` gives the records and is called twice. Records that are no
 * comparison of summaries of a post are passed on, for the reader to refuse.
 */
export async function* uniquelyPreferred(
  read: () => AsyncIterable<RawRecord>,
  onCounts: (counts: PreferenceCounts) => void,
): AsyncGenerator<RawRecord> {
  const preferred = new Set<string>();
  const rejected = new Set<string>();
  let comparisons = 0;
  for await (const { value } of read()) {
    const keys = summaryKeys(value);
    if (!keys) continue;
    comparisons++;
    preferred.add(keys.chosen);
    rejected.add(keys.rejected);
  }
  const kept = new Set([...preferred].filter((key) => !rejected.has(key)));
  onCounts({ comparisons, preferred: preferred.size, kept: kept.size });
  for await (const record of read()) {
    const keys = summaryKeys(record.value);
    // Deleting makes the second comparison with the same summary find nothing.
    if (!keys || kept.delete(keys.chosen)) yield record;
  }
}

/** A short name for each of the two summaries together with their post; undefined for anything else. */
function summaryKeys(value: unknown): { chosen: string; rejected: string } | undefined {
  if (!isRecord(value) || !isRecord(value.info) || !Array.isArray(value.summaries)) return undefined;
  const { info, summaries } = value;
  const choice = numberOf(value.choice);
  const texts = summaries.map((summary: unknown) => (isRecord(summary) ? summary.text : undefined));
  if (typeof info.post !== 'string' || (choice !== 0 && choice !== 1)) return undefined;
  const key = (text: unknown) =>
    createHash('sha256')
      .update(JSON.stringify([info.subreddit, info.title, info.post, String(text).trim()]))
      .digest('base64');
  return { chosen: key(texts[choice]), rejected: key(texts[1 - choice]) };
}
