/** The verbs of `reanchor eval`, which need no libtorch; each is loaded when it is run. */
import type { Command } from 'commander';
import type { AlpacaFlags } from './eval-alpaca.js';
import type { Terminal } from './terminal.js';

/** Adds the group `eval` to the command. */
export function addEvalCommands(program: Command, terminal: Terminal): void {
  const group = program.command('eval').description('measure what models write: win rates, ratings, benchmarks');

  group
    .command('alpaca')
    .description('AlpacaEval 2: win rate, and win rate controlled for length')
    .option('--lc-inputs <file>', 'the JSONL file of models with lengths and preferences')
    .option('--annotations <file...>', "AlpacaEval's own annotations, instead of --lc-inputs")
    .option('--outputs <file>', "the model's answers")
    .option('--reference-outputs <file>', "the baseline's answers, in AlpacaEval's order")
    .option('--difficulty <file>', "the CSV file of the instructions' difficulty, which length control needs")
    .option('--baselines <file>', 'the JSON file of the gamed baselines (default: the one beside --difficulty)')
    .option('--c <number>', 'the weight of the loss against the penalty (default: that of --expected, else 2.7826)')
    .option('--expected <file>', 'the CSV file of published numbers to compare with')
    .option('--json <file>', 'write the results as JSON')
    .action(async (flags: AlpacaFlags) => {
      const { alpacaVerb } = await import('./eval-alpaca.js');
      await alpacaVerb(flags, terminal);
    });
}
