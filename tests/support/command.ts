/** The command in a process of its own, from its sources. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { repositoryRoot } from './repository.js';

/** Starts the command; `onErrors` hears what it has written to stderr so far. */
export function startCommand(
  args: readonly string[],
  { cwd = repositoryRoot, onErrors = () => {} }: { cwd?: string; onErrors?: (text: string) => void } = {},
) {
  const main = join(repositoryRoot, 'packages/reanchor/src/cli/main.ts');
  const launch = `import { main } from ${JSON.stringify(main)}; await main(['node', 'reanchor', ...process.argv.slice(1)]);`;
  const child = spawn(
    process.execPath,
    ['--no-opt', '--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', launch, '--', ...args],
    { cwd, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const written = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => (written.stdout += String(text)));
  child.stderr.on('data', (text) => {
    written.stderr += String(text);
    onErrors(written.stderr);
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>(
    (resolve) => child.once('close', (code, signal) => resolve({ code, signal, ...written })),
  );
  return { child, ended };
}
