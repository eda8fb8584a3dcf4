/** The command in the process of a test. */
import { exitCodeOf, reportError } from '#reanchor/cli/failure.js';
import { commandLine } from '#reanchor/cli/main.js';
import { Terminal } from '#reanchor/cli/terminal.js';

export interface CommandAnswer {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command in this process as `main` does, with what it prints in the answer. */
export async function runHere(args: readonly string[]): Promise<CommandAnswer> {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  process.exitCode = 0;
  try {
    await commandLine(terminal).parseAsync(['node', 'reanchor', ...args]);
  } catch (error) {
    const isTold = error instanceof Error && error.name === 'CommanderError';
    if (!isTold) reportError(error, terminal, {});
    process.exitCode = exitCodeOf(error);
  }
  const code = Number(process.exitCode);
  process.exitCode = 0;
  return { code, ...written };
}
