// What keeps secrets out of what is told, and commands out of terminals, as what it makes of any text.
import { Terminal, table } from '#reanchor/cli/terminal.js';
import type { ChatReply, MalformedReply } from '#reanchor/eval/judge/chat-reply.js';
import { KeyGuard } from '#reanchor/eval/judge/key-guard.js';
import { readRecipe, recipeHere } from '#reanchor/recipe/index.js';

/** A key, and what a variable of a recipe stands for. */
export const secret = 'sk-S3cr3t0123456789';
const env = { HOME: secret, REANCHOR_DATA: `/${secret}/data` };

/** Prints a text in every way, and throws where the terminal would obey it. */
export function printed(text: string): void {
  for (const isTTY of [true, false]) {
    let written = '';
    const output = { write: (piece: string) => (written += piece), isTTY, columns: 120 };
    const terminal = new Terminal({ stdout: output, stderr: output, env: {}, now: () => 0 });
    terminal.note(`${terminal.colors.red(text)} ${text}`);
    for (const line of table([[text, text]])) terminal.result(line);
    if (isTTY) terminal.stream(text);
    terminal.status(text);
    terminal.endStatus();
    // What is ours: colours, and the beginning of the status line.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is looked for
    const others = written.replace(/\r\x1b\[2K|\x1b\[\d{1,2}m/g, '');
    const command = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u.exec(others);
    if (command) throw new Error(`a terminal hears ${JSON.stringify(command[0])} at ${command.index}`);
  }
}

/** Reads a recipe whose variables are secrets; throws where one of them is told, or a part of the recipe. */
export function readWithSecrets(file: string): void {
  try {
    const recipe = readRecipe(file, { env });
    if (JSON.stringify(recipe).includes(secret)) throw new Error('a recipe with a secret in it');
    recipeHere(recipe, { env });
  } catch (error) {
    const { message } = error as Error;
    if (message.includes(secret)) throw new Error(`a message with a secret in it: ${message.slice(0, 300)}`);
    printed(message);
    throw error;
  }
}

const guard = new KeyGuard(secret);

/** A judge's reply as it is kept; throws where the key is in it. */
export function guarded(reply: ChatReply | MalformedReply): ChatReply | MalformedReply {
  const kept = guard.reply(reply);
  const text = JSON.stringify(kept);
  const letters = 'text' in kept ? kept.text.toLowerCase().replace(/[^a-z\d]/g, '') : '';
  if (text.includes(secret) || letters.includes(secret.toLowerCase().replace('-', '')))
    throw new Error(`a reply with the key in it: ${text.slice(0, 300)}`);
  return kept;
}
