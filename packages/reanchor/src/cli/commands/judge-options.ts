/** The options of verbs that ask a judge: a chat model, or the rewards of a model here. */
import type { Command } from 'commander';
import { adapterOption } from './options.js';

/** The flags of {@link addJudgeOptions} as commander gives them. */
export interface JudgeFlags {
  judgeUrl?: string;
  judgeModel?: string;
  judgeSet: string[];
  keyEnv: string;
  template?: string;
  temperature: string;
  maxNewTokens?: string;
  cache: string;
  concurrency: string;
  timeout: string;
  retries: string;
  budgetCalls?: string;
  budgetTokens?: string;
}

/** What flags are, that only a server has use for, when they are left out. */
export const remoteDefaults = { keyEnv: 'REANCHOR_JUDGE_KEY', concurrency: '8', timeout: '120', retries: '6' };

/** Adds the flags that say which judge is asked, and how. */
export function addJudgeOptions(command: Command): Command {
  return command
    .option('--judge-url <url>', 'the OpenAI-compatible endpoint of the judge, such as http://127.0.0.1:8000/v1')
    .option(
      '--judge-model <name>',
      'the model to ask there; without a URL, a GGUF file to run here with node-llama-cpp',
    )
    .option(
      '--judge-set <field=value>',
      'another field of each request, such as --judge-set seed=1; null takes one out; may be repeated',
      (item: string, all: string[]) => [...all, item],
      [],
    )
    .option(
      '--key-env <name>',
      'the environment variable with the key; none is sent where it is not set',
      remoteDefaults.keyEnv,
    )
    .option('--template <name or file>', 'what the judge is asked')
    .option('--temperature <number>', 'the temperature of the judge', '0')
    .option('--max-new-tokens <count>', "the judge's longest answer in tokens (default: what the verb's answers need)")
    .option(
      '--cache <file>',
      "the JSONL file of the judge's answers, which are not asked for again",
      'judge-cache.jsonl',
    )
    .option('--concurrency <count>', 'the requests under way at once', remoteDefaults.concurrency)
    .option('--timeout <seconds>', 'the time that an answer may take', remoteDefaults.timeout)
    .option('--retries <count>', 'the further tries after a failure that may pass', remoteDefaults.retries)
    .option('--budget-calls <count>', 'stop before more calls than this')
    .option('--budget-tokens <count>', 'stop before more tokens than this');
}

/** The flags of {@link addLocalJudgeOptions} as commander gives them. */
export interface LocalJudgeFlags {
  judgeReference?: string;
  judgeAdapter?: string;
  judgeReferenceAdapter?: string;
  beta?: string;
  chatTemplate?: string;
}

/** Adds the flags that make rewards the judge. */
export function addLocalJudgeOptions(command: Command): Command {
  return command
    .option(
      '--judge-reference <folder or name>',
      'judge without a URL, by the implicit rewards of the model of --judge-model against this reference',
    )
    .addOption(adapterOption('--judge-adapter', '--judge-model'))
    .addOption(adapterOption('--judge-reference-adapter', '--judge-reference'))
    .option('--beta <number>', 'the strength beta of those rewards (default: 0.1)')
    .option('--chat-template <name or file>', 'what makes chats of the prompts for those rewards');
}
