/** The verbs of `reanchor eval`, each loaded when it is run; those that ask models need libtorch. */
import type { Command } from 'commander';
import type { AlpacaFlags } from './eval-alpaca.js';
import type { ArenaFlags } from './eval-arena.js';
import type { DiversityFlags } from './eval-diversity.js';
import type { FrontFlags } from './eval-front.js';
import type { KlFlags } from './eval-kl.js';
import type { LogpsFlags } from './eval-logps.js';
import type { RatingsFlags } from './eval-ratings.js';
import type { WinRateFlags } from './eval-winrate.js';
import { recipeOption } from './flags.js';
import { addJudgeOptions } from './judge-flags.js';
import { addLocalJudgeOptions } from './local-judge.js';
import type { Terminal } from './terminal.js';

/** Adds the group `eval` to the command. */
export function addEvalCommands(program: Command, terminal: Terminal): void {
  const group = program.command('eval').description('measure what models write: win rates, ratings, benchmarks');

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
    const { alpacaVerb } = await import('./eval-alpaca.js');
    await alpacaVerb(flags, terminal);
  });

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
    const { arenaVerb } = await import('./eval-arena.js');
    await arenaVerb(flags, terminal);
  });

  const winrate = group
    .command('winrate')
    .description('judge models side by side, in both orders: wins, ties and losses')
    .requiredOption('--answers <file...>', 'the answers of each model, file or name=file; two or more')
    .option('--baseline <name>', 'compare all others with this one, instead of everyone with everyone');
  addDrawOptions(winrate, '10000')
    .option('--out <file>', 'the JSONL file of verdicts to write')
    .option('--json <file>', 'write the results as JSON')
    .option('--html <file>', 'write the results and samples as a page')
    .option('--show <count>', 'the samples of each pair of models on the page', '20');
  addLocalJudgeOptions(addJudgeOptions(winrate)).action(async (flags: WinRateFlags, command: Command) => {
    const { winRateVerb } = await import('./eval-winrate.js');
    await winRateVerb(flags, terminal, (name) => command.getOptionValueSource(name) === 'cli');
  });

  const ratings = group
    .command('ratings')
    .description('rate answers from 1 to 10; the probability that one model improves on another')
    .requiredOption('--answers <file...>', 'the answers of each model, file or name=file');
  addDrawOptions(ratings, '2000')
    .option('--out <file>', 'the JSONL file of ratings to write')
    .option('--json <file>', 'write the results as JSON');
  addJudgeOptions(ratings).action(async (flags: RatingsFlags) => {
    const { ratingsVerb } = await import('./eval-ratings.js');
    await ratingsVerb(flags, terminal);
  });

  addMeasures(group, terminal);
}

/** The verbs that ask no judge. */
function addMeasures(group: Command, terminal: Terminal): void {
  group
    .command('kl')
    .description('the KL divergence of a model from a reference, on answers that the model writes')
    .requiredOption('--model <folder or name>', 'the model, pi')
    .requiredOption('--reference <folder or name>', 'the reference')
    .option('--prompts <file>', 'the JSONL file of prompts to answer')
    .option('--answers <file>', "answers that the model has written, instead of --prompts: generate's file")
    .option('--samples <count>', 'the answers to each prompt (default: 1)')
    .option('--max-new-tokens <count>', 'the longest answer; the KL is that of answers cut there (default: 256)')
    .option('--temperature <number>', 'the temperature of the answers; other than 1 it is no KL (default: 1)')
    .option('--seed <number>', 'the seed of the answers (default: 0)')
    .option('--batch-size <count>', 'the answers written at once (default: 32)')
    .option('--exact', 'compare the whole distributions of every next token, too: less noise, more memory')
    .option('--chat-template <name or file>', 'what makes chats of the prompts, as in generate')
    .option('--device <device>', 'auto, cpu, cuda or cuda:N (default: auto)')
    .option('--json <file>', 'write the results as JSON')
    .action(async (flags: KlFlags) => {
      const { klVerb } = await import('./eval-kl.js');
      await klVerb(flags, terminal);
    });

  group
    .command('logps')
    .description(
      'mean log-probabilities of chosen and rejected answers under the checkpoints of a run, and their change',
    )
    .argument(
      '<models...>',
      'run folders, model folders or names on the Hub, MODEL or name=MODEL; the first is compared with',
    )
    .requiredOption('--data <file...>', 'the JSONL files (also .gz) of preference pairs')
    .addOption(recipeOption('--max-length <tokens>', 'data.maxLength'))
    .addOption(recipeOption('--format <form>', 'data.format'))
    .option('--chat-template <name or file>', 'what makes chats of the rows, as in score')
    .option('--keep-identical', 'score pairs whose two completions are identical too')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--resamples <count>', 'the resamples of the bootstrap', '10000')
    .option('--json <file>', 'write the results as JSON')
    .action(async (models: string[], flags: LogpsFlags) => {
      const { logpsVerb } = await import('./eval-logps.js');
      await logpsVerb(models, flags, terminal);
    });

  group
    .command('diversity')
    .description('how answers repeat one another and themselves: self-BLEU, distinct-n, lengths')
    .requiredOption('--answers <file...>', 'the answers of each model, file or name=file')
    .option('--json <file>', 'write the results as JSON')
    .action(async (flags: DiversityFlags) => {
      const { diversityVerb } = await import('./eval-diversity.js');
      await diversityVerb(flags, terminal);
    });

  group
    .command('front')
    .description('quality against KL of several runs: methods beside their trust-region forms at equal KL')
    .argument('<runs...>', 'run folders or files of results, RUN or name=RUN')
    .option('--kl <metric>', 'the metric of evaluations that is the KL', 'kl/initial')
    .option('--quality <metric>', 'the metric of evaluations that is the quality', 'rewards/accuracies')
    .option('--at <nats...>', 'the KL to compare at (default: five places in the range of both)')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--resamples <count>', 'the resamples of the bootstrap', '2000')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--svg <file>', 'write the chart')
    .option('--json <file>', 'write the results as JSON')
    .action(async (runs: string[], flags: FrontFlags) => {
      const { frontVerb } = await import('./eval-front.js');
      await frontVerb(runs, flags, terminal);
    });
}

function addDrawOptions(command: Command, resamples: string): Command {
  return command
    .option('--sample <count>', 'draw so many prompts')
    .option('--seed <number>', 'the seed of all draws', '0')
    .option('--level <share>', 'the coverage of the intervals', '0.95')
    .option('--resamples <count>', 'the resamples of the bootstrap', resamples);
}
