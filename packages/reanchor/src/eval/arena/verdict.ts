/** The five-way verdict of Arena-Hard, read from what the judge wrote. */

export const verdicts = ['A>>B', 'A>B', 'A=B', 'B>A', 'B>>A'] as const;
export type ArenaVerdict = (typeof verdicts)[number];

export type ReadVerdict = { verdict: ArenaVerdict } | { unparsed: string };

/** Labels turned about mean the same. */
const turned: Record<string, ArenaVerdict> = {
  'B<<A': 'A>>B',
  'B<A': 'A>B',
  'B=A': 'A=B',
  'A<B': 'B>A',
  'A<<B': 'B>>A',
};

/**
 * The verdict at the end of a judge's text, or why there is none; what is no label is never taken for one. A judge's
 * thoughts (up to `</think>`) do not count. Two rules are in use where a text holds several labels:
 *
 * - `last` (Arena-Hard 2.0): the last one; labels in single brackets and in lower case are read too, where there is
 *   none in double brackets.
 * - `only` (Arena-Hard 0.1): different labels contradict each other, and the text has no verdict.
 *
 * Source: arena-hard-auto, gen_judgment.py of both versions.
 */
export function readVerdict(text: string, rule: 'last' | 'only'): ReadVerdict {
  const end = text.lastIndexOf('</think>');
  if (end === -1 && text.includes('<think>')) return { unparsed: 'the thoughts have no end' };
  const said = text.slice(end === -1 ? 0 : end + '</think>'.length);
  const patterns = rule === 'last' ? [/\[\[([AB<>=]+)\]\]/gi, /\[([AB<>=]+)\]/gi] : [/\[\[([AB<>=]+)\]\]/g];
  for (const pattern of patterns) {
    const labels = [...said.matchAll(pattern)].flatMap(([, label]) => labelOf(label!.toUpperCase()) ?? []);
    if (labels.length === 0) continue;
    if (rule === 'only' && new Set(labels).size > 1) return { unparsed: 'contradictory labels' };
    return { verdict: labels.at(-1)! };
  }
  return { unparsed: 'no label' };
}

/** One of the five verdicts, also from a label turned about (`B<A`); undefined for any other text. */
export function labelOf(text: string): ArenaVerdict | undefined {
  return verdicts.find((one) => one === text) ?? turned[text];
}

/** What the answer in place A got (1 a win, 1/2 a tie, 0 a loss), and how often that counts. */
export function verdictScore(verdict: ArenaVerdict, strongWeight: number): { score: number; weight: number } {
  const score = verdict.startsWith('A>') ? 1 : verdict === 'A=B' ? 0.5 : 0;
  return { score, weight: verdict.includes('>>') ? strongWeight : 1 };
}
