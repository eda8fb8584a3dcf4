/** The command `reanchor`: verbs, flags, exit codes. Every verb calls one library function, loaded when it is run. */
import { Command, CommanderError } from 'commander';
import { writeError } from '../formats/index.js';
import { packageVersion } from '../version.js';
import { addCache } from './commands/cache.js';
import { addChat } from './commands/chat.js';
import { addDashboard } from './commands/dashboard.js';
import { addDoctor } from './commands/doctor.js';
import { addEstimate } from './commands/estimate.js';
import { addEval } from './commands/eval.js';
import { addExplain } from './commands/explain.js';
import { addFromTrl } from './commands/from-trl.js';
import { addGenerate } from './commands/generate.js';
import { addMerge } from './commands/merge.js';
import { addPush } from './commands/push.js';
import { addQuickstart } from './commands/quickstart.js';
import { addSchema } from './commands/schema.js';
import { addScore } from './commands/score.js';
import { addSetup } from './commands/setup.js';
import { addSweep } from './commands/sweep.js';
import { addTokens } from './commands/tokens.js';
import { addToy } from './commands/toy.js';
import { addTrain } from './commands/train.js';
import { exitCodeOf, reportError } from './failure.js';
import { Terminal } from './terminal.js';

/**
 * Runs the command line `argv` (node, script, arguments) and sets `process.exitCode`: 0 fine, 1 failed or stopped by
 * a signal, 2 wrong usage, which includes a recipe with a mistake in it, 3 a configuration of which something that
 * changes the training could not be translated, 130 training, or work of several processes, that was stopped by a
 * signal.
 */
export async function main(argv: readonly string[] = process.argv): Promise<void> {
  const terminal = new Terminal();
  tellUnwritten(terminal);
  const program = commandLine(terminal);
  try {
    await program.parseAsync([...argv.slice(0, 2), ...plainWords(argv.slice(2), program)]);
  } catch (error) {
    if (!(error instanceof CommanderError)) reportError(error, terminal, process.env);
    process.exitCode = exitCodeOf(error);
  }
}

/**
 * What is printed and cannot be written ends no work. A reader that has seen enough, such as `head`, and a terminal
 * that was closed, are no failure; anything else, a full disk say, is told once and makes the exit code 1.
 */
function tellUnwritten(terminal: Terminal): void {
  if (isTold) return;
  isTold = true;
  let failure: Error | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || error.code === 'EIO' || failure) return;
    failure = error;
    reportError(writeError('what is printed', error), terminal, process.env);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
  process.on('exit', (code) => {
    if (failure && code === 0) process.exitCode = 1;
  });
}
/** Streams belong to the process, however often the command is run in it. */
let isTold = false;

/** The words by which people ask for help and version, as the flags that they mean: `help train` is `train --help`. */
function plainWords(words: readonly string[], command: Command): string[] {
  const [first, ...rest] = words;
  if (first === undefined) return [];
  if (first === 'help') return [...rest, '--help'];
  if (command.parent === null && ['version', '-v'].includes(first)) return ['--version'];
  const inner = command.commands.find((one) => one.name() === first);
  return inner && inner.commands.length > 0 ? [first, ...plainWords(rest, inner)] : [...words];
}

/** The verbs, in the order of the help; each declares its arguments and options, and loads its work when it is run. */
const verbs = [
  addSetup,
  addDoctor,
  addQuickstart,
  addTrain,
  addSweep,
  addEstimate,
  addTokens,
  addExplain,
  addSchema,
  addFromTrl,
  addScore,
  addGenerate,
  addChat,
  addMerge,
  addPush,
  addToy,
  addEval,
  addDashboard,
  addCache,
];

/** The command with all its verbs; a test holds the list of their flags. */
export function commandLine(terminal: Terminal): Command {
  const program = new Command('reanchor')
    .description('Trust-region preference alignment (TR-DPO) of language models, with libtorch.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .showHelpAfterError('(--help shows what is allowed)')
    .configureOutput({
      writeOut: (text) => terminal.result(text.replace(/\n$/, '')),
      writeErr: (text) => terminal.note(text.replace(/\n$/, '')),
    })
    .exitOverride();

  for (const addVerb of verbs) addVerb(program, terminal);
  return program;
}
