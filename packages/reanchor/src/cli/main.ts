/** The command `reanchor`: verbs, flags, exit codes. Every verb calls one library function, loaded when it is run. */
import { Command, CommanderError, Option } from 'commander';
import { writeError } from '../formats/index.js';
import { recipeKeys } from '../recipe/index.js';
import { packageVersion } from '../version.js';
import type { DashboardFlags } from './dashboard.js';
import type { EstimateFlags } from './estimate.js';
import { addEvalCommands } from './eval.js';
import { exitCodeOf, reportError } from './failure.js';
import { recipeOption } from './flags.js';
import type { GenerateFlags } from './generate.js';
import type { QuickstartFlags } from './quickstart.js';
import type { ScoreFlags } from './score.js';
import { Terminal, table } from './terminal.js';
import type { TokensFlags } from './tokens.js';
import type { ToyFlags } from './toy.js';
import type { TrainFlags } from './train.js';

/**
 * Runs the command line `argv` (node, script, arguments) and sets `process.exitCode`: 0 fine, 1 failed or stopped by
 * a signal, 2 wrong usage, which includes a recipe with a mistake in it, 130 training that was stopped by a signal.
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

const templateHelp =
  "what makes text of chats, and of a plain prompt a user's message: model, the name of one that is built in, a .jinja file, Jinja text, or none (default: that of the run that left the model; else the model's for chats, none for plain prompts)";
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

/** The verbs and flags; a test holds their list. */
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

  program
    .command('setup')
    .description('find or install libtorch and build the native part')
    .action(async () => {
      const { setupVerb } = await import('./setup.js');
      await setupVerb(terminal);
    });

  program
    .command('doctor')
    .description('say what is there: libtorch, devices, threads, speed')
    .action(async () => {
      const { doctorVerb } = await import('./setup.js');
      process.exitCode = await doctorVerb(terminal);
    });

  program
    .command('quickstart')
    .description('a whole experiment in minutes: a model from nothing, pairs, DPO and TR-DPO, what came of them')
    .option(
      '--out <folder>',
      'the folder of the experiment (default: runs/quickstart); what is done in it is not done again',
    )
    .option('--fast', 'a size of seconds, for trying it out')
    .option('--seed <number>', 'the seed of all draws', '1')
    .option('--threads <count>', 'the CPU threads', '2')
    .action(async (flags: QuickstartFlags) => {
      const { quickstartVerb } = await import('./quickstart.js');
      process.exitCode = await quickstartVerb(flags, terminal);
    });

  program
    .command('train')
    .description('train a model as a recipe says')
    .argument('<recipe>', 'the recipe, a YAML file')
    .addOption(
      repeated(
        '--set <key=value>',
        "use another value for a key of the recipe, such as --set optimizer.lr=1e-6 or --set 'reference={update: hard, tau: 64}'; may be repeated, null takes a key out",
      ),
    )
    .option('--out <folder>', 'the run folder to make (default: runs/<recipe>-<date>-<time>)')
    .option(
      '--resume',
      'go on with the run in the folder that --out names, or in the newest runs/<recipe>-<date>-<time>, from its newest checkpoint',
    )
    .option(
      '--profile <file>',
      'write where the time of steps 2 to 4 goes, as a Chrome trace (https://ui.perfetto.dev opens it)',
    )
    .addHelpText('after', recipeHelp)
    .action(async (recipe: string, flags: TrainFlags) => {
      const { trainVerb } = await import('./train.js');
      process.exitCode = await trainVerb(recipe, flags, terminal);
    });

  program
    .command('estimate')
    .description('say what a recipe will take before anything starts: steps, updates of the reference, memory, FLOPs')
    .argument('<recipe>', 'the recipe, a YAML file; neither weights nor rows need to be there')
    .addOption(repeated('--set <key=value>', 'as with train'))
    .option('--devices <count>', 'the devices of which the memory is told', '1')
    .option('--json', 'print all numbers as JSON')
    .action(async (recipe: string, flags: EstimateFlags) => {
      const { estimateVerb } = await import('./estimate.js');
      await estimateVerb(recipe, flags, terminal);
    });

  program
    .command('tokens')
    .description('show the rows of a recipe token by token, and what is scored')
    .argument('[recipe]', 'the recipe, a YAML file')
    .option('--run <folder>', 'a run folder, whose recipe, chat template and date are used')
    .addOption(repeated('--set <key=value>', 'as with train'))
    .option('--rows <count>', 'the rows that are shown', '3')
    .action(async (recipe: string | undefined, flags: TokensFlags) => {
      const { tokensVerb } = await import('./tokens.js');
      await tokensVerb(recipe, flags, terminal);
    });

  program
    .command('score')
    .description("write each row's log-probabilities, and rewards against a reference, as JSON lines")
    .option('--model <model>', 'the model: a Hugging Face folder, or owner/name[@revision] on the Hub')
    .option(
      '--run <folder>',
      'a run folder: its model against what that began as, its validation files, its chat template, date and lengths, each where no other flag says otherwise',
    )
    .option('--data <file...>', 'the files of preference pairs')
    .requiredOption('--out <file>', 'the JSONL file to write, one line per row in input order')
    .option('--reference <model>', 'the reference, named like the model, for rewards')
    .addOption(recipeOption('--beta <number>', 'loss.beta'))
    .addOption(recipeOption('--max-length <tokens>', 'data.maxLength'))
    .addOption(recipeOption('--format <form>', 'data.format'))
    .option('--chat-template <template>', templateHelp)
    .option('--keep-identical', 'score pairs whose two completions are identical too')
    .addOption(recipeOption('--device <device>', 'device'))
    .action(async (flags: ScoreFlags) => {
      const { scoreVerb } = await import('./score.js');
      await scoreVerb(flags, terminal);
    });

  program
    .command('generate')
    .description('write completions of prompts, or stream that of one')
    .option('--model <model>', 'the model: a Hugging Face folder, or owner/name[@revision] on the Hub')
    .option('--run <folder>', 'a run folder: its model unless another one is named, its chat template and date')
    .option(
      '--prompts <file>',
      'the JSONL file (also .gz) of rows {"prompt": text}, or {"messages": [{"role", "content"}, ...]} to be answered',
    )
    .option(
      '--out <file>',
      'the JSONL file to write, one line per completion; until all are done they are kept in <file>.partial, from which the same command goes on',
    )
    .option('--prompt <text>', 'one prompt, whose completion goes to stdout as it is written')
    .option('--chat-template <template>', templateHelp)
    .option('--max-new-tokens <count>', 'the tokens of a completion at most', '256')
    .option('--temperature <number>', 'the divisor of the logits; 0 always takes the most probable token', '1')
    .option('--top-k <count>', 'draw from so many of the most probable tokens')
    .option('--top-p <share>', 'draw from the most probable tokens that make up this share')
    .option('--samples <count>', 'the completions of each prompt', '1')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--batch-size <count>', 'the completions that are written at once', '32')
    .addOption(repeated('--stop <text>', 'a text that ends a completion; may be repeated'))
    .addOption(recipeOption('--device <device>', 'device'))
    .action(async (flags: GenerateFlags) => {
      const { generateVerb } = await import('./generate.js');
      process.exitCode = await generateVerb(flags, terminal);
    });

  program
    .command('toy')
    .description("the paper's toy experiment: what alignment does to texts it never saw")
    .option('--seeds <count>', 'the random starts that are averaged', '40')
    .option('--steps <count>', 'the optimizer steps', '3000')
    .option('--beta <number>', 'the strength of the pull towards the reference', '0.5')
    .option('--method <name>', 'dpo, ipo or kto', 'dpo')
    .option('--variants <set>', 'few or all: the references that are compared', 'few')
    .option('--json <file>', 'write all curves as JSON')
    .option('--plots <folder>', 'write pictures as SVG')
    .action(async (flags: ToyFlags) => {
      const { toyVerb } = await import('./toy.js');
      await toyVerb(flags, terminal);
    });

  addEvalCommands(program, terminal);
  program
    .command('dashboard')
    .description('show runs, live and finished, in a browser on this machine')
    .argument('[runs]', 'the folder of run folders', 'runs')
    .option('--port <number>', 'the port; 0 is any free one', '6060')
    .option('--host <address>', 'the address to listen on; others than this machine reach it on 0.0.0.0', '127.0.0.1')
    .option('--open', 'open a browser')
    .action(async (runs: string, flags: DashboardFlags) => {
      const { dashboardVerb } = await import('./dashboard.js');
      await dashboardVerb(runs, flags, terminal);
    });

  return program;
}

/** A flag that may be given more than once; its values in a list. */
function repeated(flags: string, description: string): Option {
  return new Option(flags, description).argParser((item: string, all: string[]) => [...all, item]).default([], 'none');
}

function recipeHelp(): string {
  const keys = recipeKeys().filter((key) => !key.isSection);
  const rows = keys.map(({ path, type, isRequired, usedWith, default: value }) => [
    `  ${path}`,
    [
      type,
      value !== undefined && `(default: ${JSON.stringify(value)})`,
      isRequired && !usedWith && '(required)',
      usedWith && `(with ${usedWith.key}: ${usedWith.values.join(' | ')})`,
    ]
      .filter(Boolean)
      .join(' '),
  ]);
  return `\nKeys of a recipe:\n${table(rows, 'left').join('\n')}`;
}
