import type { Command } from 'commander';
import type { AlpacaFlags } from '../eval-alpaca.js';
import type { Terminal } from '../terminal.js';
import { addJudgeOptions } from './judge-options.js';

/** Adds `reanchor eval alpaca`. */
export function addAlpaca(group: Command, terminal: Terminal): void {
  const alpaca = group
    .command('alpaca')
    .description('AlpacaEval 2: win rate, and win rate controlled for length')
    .option('--lc-inputs <file>', 'the JSONL file of models with lengths and preferences')
    .option('--annotations <file...>', "AlpacaEval's own annotations, instead of --lc-inputs")
    .option('--outputs <file>', "the model's answers")
    .option('--reference-outputs <file>', "the baseline's answers, in AlpacaEval's order, by which rows are matched")
    .option('--difficulty <file>', "the CSV file of the instructions' difficulty, which length control needs")
    .option('--baselines <file>', 'the JSON file of the gamed baselines (default: the one beside --difficulty)')
    .option('--c <number>', 'the weight of the loss against the penalty (default: that of --expected, else 2.7826)')
    .option('--expected <file>', 'the CSV file of published numbers to compare with')
    .option('--json <file>', 'write the results as JSON')
    .option('--out <file>', 'with a judge: the JSON file of annotations to write')
    .option('--orders <which>', 'judge in one order that the instruction decides (random), or in both', 'random')
    .option('--discrete', 'take the letter that the judge writes, not the probabilities of the letters');
  addJudgeOptions(alpaca).action(async (flags: AlpacaFlags) => {
    const { alpacaVerb } = await import('../eval-alpaca.js');
    await alpacaVerb(flags, terminal);
  });
}
