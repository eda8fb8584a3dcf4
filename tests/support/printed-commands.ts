/** Commands in a document with what they print below them, in blocks of ```console. */
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';

const blocks = /```console\n\$ npx reanchor ((?:.*\\\n)*.*)\n([\s\S]*?)```/g;

/** A document whose commands have been run in the current folder: what they print to stdout stands below them. */
export async function withOutputs(document: string): Promise<string> {
  const outputs: string[] = [];
  for (const [, command] of document.matchAll(blocks)) outputs.push(await outputOf(command!));
  return document.replace(blocks, (_, command: string) => {
    return `\`\`\`console\n$ npx reanchor ${command}\n${outputs.shift()}\`\`\``;
  });
}

/** The words of a command; its lines end with a backslash but the last. */
async function outputOf(command: string): Promise<string> {
  let printed = '';
  const stdout = { write: (text: string) => (printed += text) };
  const terminal = new Terminal({ stdout, stderr: { write: () => true }, env: {} });
  await commandLine(terminal).parseAsync(['node', 'reanchor', ...command.split(/[\s\\]+/)]);
  return printed.replaceAll(/ +$/gm, '');
}
