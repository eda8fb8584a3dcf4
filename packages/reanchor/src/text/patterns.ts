/** Which regular expressions of a tokenizer can be trusted to end soon. */

/** The patterns of published tokenizers, whose time grows with the text alone. */
const published = new Set([
  // Llama 3, and with one digit instead of three Qwen 2, 2.5 and 3.
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  // GPT-2 and GPT-NeoX, where it is written out.
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
]);

/** Whether a pattern repeats something without bound, or looks back at what it found. */
const isRepeating = (regex: string) => /[*+]|\{\d*,|\{\d{3,}|\\[1-9k]/.test(regex);

/**
 * Whether a value of a tokenizer.json holds a pattern that may take without end on some text: one that repeats, and is
 * none of the published ones. Patterns are the texts under `Regex`.
 */
export function hasForeignPattern(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([key, inner]) =>
    key === 'Regex' && typeof inner === 'string'
      ? isRepeating(inner) && !published.has(inner)
      : hasForeignPattern(inner),
  );
}
