import { readRecipe } from '../runs/parse.js';
import { numberFlag } from './flags.js';
import { downloadStatus } from './progress.js';
import type { Terminal } from './terminal.js';

/** The flags of `tokens` as commander gives them. */
export interface TokensFlags {
  set: string[];
  rows: string;
}

/**
 * `reanchor tokens RECIPE`: prints the first rows of a recipe's data token by token. Scored tokens are green, or where
 * there is no colour in braces; a middle dot is a space, an arrow a line feed.
 */
export async function tokensVerb(
  recipeFile: string,
  { set, rows: count }: TokensFlags,
  terminal: Terminal,
): Promise<void> {
  const recipe = readRecipe(recipeFile, { set });
  const { rowTokens } = await import('../train/index.js');
  const { rows, notes } = await rowTokens(recipe, numberFlag('--rows', count, { integer: true, min: 1 }), {
    onDownload: downloadStatus(terminal),
  });
  const { colors } = terminal;
  const visible = (text: string) => text.replaceAll(' ', '\u00b7').replaceAll('\n', '\u21b5');
  const scored = (text: string) => (colors.isColorSupported ? colors.green(text) : `{${text}}`);
  for (const { file, line, parts } of rows) {
    terminal.result(`${file}:${line}`);
    for (const { name, tokens } of parts) {
      const text = tokens
        .map((token) => (token.isScored ? scored(visible(token.text)) : visible(token.text)))
        .join('|');
      const numbers = `${tokens.length} tokens, ${tokens.filter(({ isScored }) => isScored).length} scored`;
      terminal.result(`  ${name}, ${numbers}: ${text}`);
    }
  }
  for (const note of notes) terminal.note(note);
}
