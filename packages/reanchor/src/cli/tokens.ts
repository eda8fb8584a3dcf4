import { UsageError } from '../errors.js';
import { concealing } from '../recipe/index.js';
import { runText } from '../runs/index.js';
import { numberFlag } from './flags.js';
import { downloadStatus } from './progress.js';
import { recipeFor } from './recipe.js';
import type { Terminal } from './terminal.js';

/** The flags of `tokens` as commander gives them. */
export interface TokensFlags {
  run?: string;
  set: string[];
  rows: string;
}

type ShownToken = import('../planning/row-tokens.js').ShownToken;

/**
 * `reanchor tokens RECIPE`, or with `--run` those of a run: prints the first rows of a recipe's data token by token.
 * Scored tokens are green, or where there is no colour in braces; a middle dot is a space, an arrow a line feed, an
 * ellipsis a part of a character.
 */
export async function tokensVerb(
  recipeFile: string | undefined,
  { run, set, rows: count }: TokensFlags,
  terminal: Terminal,
): Promise<void> {
  if ((recipeFile === undefined) === (run === undefined))
    throw new UsageError('name either a recipe, or a run with --run');
  if (run !== undefined && set.length > 0)
    throw new UsageError('--set has no effect with --run: its recipe stays as it is');
  const wanted = numberFlag('--rows', count, { integer: true, min: 1 });
  const text = run === undefined ? undefined : runText(run);
  const recipe = text?.recipe ?? recipeFor(terminal, recipeFile!, { set });
  if (text) terminal.conceal(concealing(recipe));
  const { rowTokens } = await import('../planning/row-tokens.js');
  const { rows, notes, template } = await rowTokens(text ?? recipe, wanted, { onDownload: downloadStatus(terminal) });
  const { resultColors: colors } = terminal;
  const legend = colors.isColorSupported ? colors.green('green') : '{in braces}';
  terminal.result(
    `method ${recipe.method}; ${template}; scored tokens are ${legend}, \u00b7 is a space, \u21b5 a line feed`,
  );
  for (const { file, line, parts } of rows) {
    terminal.result('');
    terminal.result(`${file}:${line}`);
    for (const { name, tokens } of parts) {
      const scored = tokens.filter(({ isScored }) => isScored).length;
      const share = scored === 0 ? 'none' : scored === tokens.length ? 'all' : String(scored);
      terminal.result(`  ${colors.bold(name)}, ${tokens.length} tokens, ${share} scored`);
      for (const text of linesOf(tokens)) terminal.result(`    ${lineText(text, colors)}`);
    }
  }
  for (const note of notes) terminal.note(note);
}

/** Tokens line by line, as their line feeds break them. */
function linesOf(tokens: readonly ShownToken[]): ShownToken[][] {
  const lines: ShownToken[][] = [];
  let isNew = true;
  for (const token of tokens) {
    if (isNew) lines.push([]);
    lines.at(-1)!.push(token);
    isNew = token.text.endsWith('\n');
  }
  return lines;
}

function lineText(tokens: readonly ShownToken[], colors: Terminal['resultColors']): string {
  const visible = ({ text }: ShownToken) =>
    text.replaceAll(' ', '\u00b7').replaceAll('\n', '\u21b5').replaceAll('\t', '\u21e5');
  const separator = colors.dim('|');
  if (colors.isColorSupported) {
    return tokens.map((token) => (token.isScored ? colors.green(visible(token)) : visible(token))).join(separator);
  }
  const runs: { isScored: boolean; texts: string[] }[] = [];
  for (const token of tokens) {
    if (runs.at(-1)?.isScored !== token.isScored) runs.push({ isScored: token.isScored, texts: [] });
    runs.at(-1)!.texts.push(visible(token));
  }
  return runs.map(({ isScored, texts }) => (isScored ? `{${texts.join('|')}}` : texts.join('|'))).join(separator);
}
