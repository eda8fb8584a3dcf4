/** How much texts repeat one another and themselves: self-BLEU and distinct-n. */

/** Self-BLEU counts n-grams up to this length, with equal weights. */
const maxLength = 3;
/** What NLTK's smoothing method 1 puts in the place of a count of 0. */
const epsilon = 0.1;

type Counts = Map<string, number>;

// NUL separates tokens: text has none, so that no two n-grams share a key.
function ngrams(tokens: readonly string[], n: number): string[] {
  return Array.from({ length: Math.max(0, tokens.length - n + 1) }, (_, i) => tokens.slice(i, i + n).join('\0'));
}

function count(items: readonly string[]): Counts {
  const counts: Counts = new Map();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

/** The two largest counts of an n-gram, and the text that has the largest. */
interface Largest {
  first: number;
  second: number;
  owner: number;
}

/**
 * The BLEU of each text against all the others as its references, with n-grams of 1 to 3 tokens in equal weights and
 * NLTK's smoothing method 1: a precision whose numerator is 0 gets 0.1 there; 0 where no single token matches. In time
 * that grows with the tokens, not with the pairs. Errors: RangeError below two texts. Source: Papineni et al. 2002;
 * Chen and Cherry 2014; Zhu et al. 2018 (self-BLEU); `nltk.translate.bleu_score.sentence_bleu`.
 */
export function selfBleu(texts: readonly (readonly string[])[]): number[] {
  if (texts.length < 2) throw new RangeError(`self-BLEU needs two texts at least, not ${texts.length}`);
  const logs = new Float64Array(texts.length);
  const isZero = new Uint8Array(texts.length);
  for (let n = 1; n <= maxLength; n++) {
    const counts = texts.map((tokens) => count(ngrams(tokens, n)));
    const largest = largestCounts(counts);
    for (const [i, own] of counts.entries()) {
      let [matched, all] = [0, 0];
      for (const [ngram, times] of own) {
        const { first, second, owner } = largest.get(ngram)!;
        matched += Math.min(times, owner === i ? second : first);
        all += times;
      }
      if (n === 1 && matched === 0) isZero[i] = 1;
      logs[i]! += Math.log((matched || epsilon) / Math.max(1, all)) / maxLength;
    }
  }
  const lengths = texts.map(({ length }) => length);
  return lengths.map((length, i) => {
    if (isZero[i]) return 0;
    const closest = closestLength(lengths, i);
    return (length > closest ? 1 : Math.exp(1 - closest / length)) * Math.exp(logs[i]!);
  });
}

function largestCounts(counts: readonly Counts[]): Map<string, Largest> {
  const largest = new Map<string, Largest>();
  for (const [owner, own] of counts.entries()) {
    for (const [ngram, times] of own) {
      const known = largest.get(ngram);
      if (known === undefined) largest.set(ngram, { first: times, second: 0, owner });
      else if (times > known.first) largest.set(ngram, { first: times, second: known.first, owner });
      else known.second = Math.max(known.second, times);
    }
  }
  return largest;
}

/** The length of another text that is nearest to that of text `i`, the smaller of two. */
function closestLength(lengths: readonly number[], i: number): number {
  const own = lengths[i]!;
  let best = Number.POSITIVE_INFINITY;
  for (const [j, length] of lengths.entries()) {
    const gain = Math.abs(best - own) - Math.abs(length - own);
    if (j !== i && (gain > 0 || (gain === 0 && length < best))) best = length;
  }
  return best;
}

/**
 * Of all n-grams of the texts, the share that is different: their number over how many there are. NaN without an
 * n-gram. Source: Li et al. 2016 (1510.03055).
 */
export function distinct(texts: readonly (readonly string[])[], n: number): number {
  const all = new Set<string>();
  let total = 0;
  for (const tokens of texts) {
    for (const ngram of ngrams(tokens, n)) all.add(ngram);
    total += Math.max(0, tokens.length - n + 1);
  }
  return total === 0 ? Number.NaN : all.size / total;
}
