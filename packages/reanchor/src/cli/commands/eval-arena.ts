import type { Command } from 'commander';
import type { ArenaFlags } from '../eval-arena.js';
import type { Terminal } from '../terminal.js';
import { addJudgeOptions } from './judge-options.js';

/** Adds `reanchor eval arena`. */
export function addArena(group: Command, terminal: Terminal): void {
  const arena = group
    .command('arena')
    .description('Arena-Hard 0.1 and 2.0: the score against the baseline, with intervals and style control')
    .option('--judgments <file...>', 'the JSONL files of judgments')
    .option('--answers <file...>', 'the answers of the models and of the baselines, for lengths and style control')
    .option('--style <which>', 'the differences in style to control for: length, markdown or both')
    .option(
      '--style-at <where>',
      'read the scores at equal style, or at the mean difference as Arena-Hard does',
      'equal',
    )
    .option('--resample <what>', 'draw questions, or battles as Arena-Hard does, for the intervals', 'questions')
    .option('--resamples <count>', 'the resamples of the bootstrap', '100')
    .option('--level <share>', 'the coverage of the intervals (default: 0.9 for 2.0, 0.95 for 0.1)')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--json <file>', 'write the results as JSON')
    .option('--questions <file>', 'with a judge: the questions')
    .option('--baseline <model>', "with a judge: the model to compare with (default: the benchmark's own)")
    .option('--out <file>', 'with a judge: the JSONL file of judgments to write');
  addJudgeOptions(arena).action(async (flags: ArenaFlags) => {
    const { arenaVerb } = await import('../eval-arena.js');
    await arenaVerb(flags, terminal);
  });
}
