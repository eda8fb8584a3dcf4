import type { Command } from 'commander';
import type { RatingsFlags } from '../eval-ratings.js';
import type { Terminal } from '../terminal.js';
import { addJudgeOptions } from './judge-options.js';
import { addDrawOptions } from './options.js';

/** Adds `reanchor eval ratings`. */
export function addRatings(group: Command, terminal: Terminal): void {
  const ratings = group
    .command('ratings')
    .description('rate answers from 1 to 10; the probability that one model improves on another')
    .requiredOption('--answers <file...>', 'the answers of each model, file or name=file');
  addDrawOptions(ratings, '2000')
    .option('--out <file>', 'the JSONL file of ratings to write')
    .option('--json <file>', 'write the results as JSON');
  addJudgeOptions(ratings).action(async (flags: RatingsFlags) => {
    const { ratingsVerb } = await import('../eval-ratings.js');
    await ratingsVerb(flags, terminal);
  });
}
