import type { CompleteOptions, Prompt, TextCompletion, TextGenerator } from './text-generator.js';

/**
 * Hands the completion of one prompt to `write`, piece by piece as it is written, and returns it. What may still become
 * a stop string is held back, and so is half a character. Errors: those of `complete`.
 */
export async function streamText(
  generator: TextGenerator,
  prompt: Prompt,
  options: Omit<CompleteOptions, 'samples'>,
  write: (piece: string) => void,
): Promise<TextCompletion> {
  const { stopStrings = [] } = options;
  const decode = generator.decoder(prompt);
  const tokens: number[] = [];
  let written = '';
  const held = Math.max(0, ...stopStrings.map((stop) => stop.length - 1));
  const [completion] = await generator.complete([prompt], {
    ...options,
    onToken: (...heard) => {
      options.onToken?.(...heard);
      tokens.push(heard[2]);
      const text = decode(tokens);
      const safe = text.slice(0, text.length - held);
      const isWhole = !safe.endsWith('\ufffd') && safe.startsWith(written);
      if (!isWhole || stopStrings.some((stop) => text.includes(stop))) return;
      write(safe.slice(written.length));
      written = safe;
    },
  });
  write(completion!.text.slice(written.length));
  return completion!;
}
