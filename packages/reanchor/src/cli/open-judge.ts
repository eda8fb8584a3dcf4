/** The client of the judge that flags describe. */
import { UsageError } from '../errors.js';
import type { JudgeClient } from '../eval/judge/judge-client.js';
import { type JudgeFlags, remoteDefaults } from './commands/judge-options.js';
import { numberFlag } from './flags.js';
import { number } from './progress.js';
import type { Terminal } from './terminal.js';

export interface JudgeSession extends AsyncDisposable {
  client: JudgeClient;
  concurrency: number;
  temperature: number;
  /** Where the flag says it. */
  maxNewTokens: number | undefined;
  /** For `onProgress` of the work. */
  onProgress: (done: number, total: number) => void;
}

/**
 * Opens the judge that the flags describe. When it is disposed, it says how much was asked. Errors: UsageError,
 * UserError.
 */
export async function openJudge(flags: JudgeFlags, env: NodeJS.ProcessEnv, terminal: Terminal): Promise<JudgeSession> {
  const { judgeUrl, judgeModel } = flags;
  const isLocal = judgeUrl === undefined && judgeModel !== undefined && /\.gguf$/i.test(judgeModel);
  if (judgeModel === undefined || (judgeUrl === undefined && !isLocal)) {
    throw new UsageError(
      'a judge needs --judge-url and --judge-model: an OpenAI-compatible endpoint and a model there; or as --judge-model a GGUF file',
    );
  }
  const concurrency = concurrencyOf(flags);
  const temperature = numberFlag('--temperature', flags.temperature, {});
  const maxNewTokens = count('--max-new-tokens', flags.maxNewTokens);
  const client = isLocal ? await openLocal(flags, judgeModel) : await openRemote(flags, judgeUrl!, judgeModel, env);
  if (client.kept > 0) terminal.note(`${number(client.kept)} answers of judges are kept in ${flags.cache}`);
  return {
    client,
    concurrency,
    temperature,
    maxNewTokens,
    onProgress: (done, total) =>
      terminal.status(`judged ${number(done)} of ${number(total)}, ${number(client.budget.calls)} calls`),
    async [Symbol.asyncDispose]() {
      terminal.endStatus();
      await client[Symbol.asyncDispose]();
      const { calls, tokens } = client.budget;
      if (calls > 0)
        terminal.note(`${number(calls)} calls, about ${number(tokens)} tokens; answers are kept in ${flags.cache}`);
    },
  };
}

const count = (flag: string, text: string | undefined) =>
  text === undefined ? undefined : numberFlag(flag, text, { integer: true, min: 1 });

const concurrencyOf = ({ concurrency }: JudgeFlags) =>
  numberFlag('--concurrency', concurrency, { integer: true, min: 1, max: 256 });

async function openRemote(
  flags: JudgeFlags,
  baseUrl: string,
  model: string,
  env: NodeJS.ProcessEnv,
): Promise<JudgeClient> {
  const { ChatClient } = await import('../eval/judge/chat-client.js');
  return ChatClient.open({
    baseUrl,
    model,
    apiKey: env[flags.keyEnv]?.trim() || undefined,
    cacheFile: flags.cache,
    concurrency: concurrencyOf(flags),
    timeoutMs: 1000 * numberFlag('--timeout', flags.timeout, { above: true, max: 300 }),
    retries: numberFlag('--retries', flags.retries, { integer: true }),
    maxCalls: count('--budget-calls', flags.budgetCalls),
    maxTokens: count('--budget-tokens', flags.budgetTokens),
    extra: extraFields(flags.judgeSet),
  });
}

/** Errors: UsageError for flags that are of a server. */
async function openLocal(flags: JudgeFlags, file: string): Promise<JudgeClient> {
  const { judgeSet, keyEnv, concurrency, timeout, retries, budgetCalls, budgetTokens } = flags;
  const given = {
    '--judge-set': judgeSet.length > 0,
    '--key-env': keyEnv !== remoteDefaults.keyEnv,
    '--concurrency': concurrency !== remoteDefaults.concurrency,
    '--timeout': timeout !== remoteDefaults.timeout,
    '--retries': retries !== remoteDefaults.retries,
    '--budget-calls': budgetCalls !== undefined,
    '--budget-tokens': budgetTokens !== undefined,
  };
  const useless = Object.entries(given).find(([, isGiven]) => isGiven)?.[0];
  if (useless !== undefined) throw new UsageError(`${useless} has no effect on a judge that runs here: leave it out`);
  const { LocalChat } = await import('../eval/judge/local-chat.js');
  return LocalChat.open({ file, cacheFile: flags.cache });
}

/** `field=value` with the value as JSON, or as text where it is none. */
function extraFields(items: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    items.map((item) => {
      const [, field, text] = /^([A-Za-z_]\w*)=(.*)$/s.exec(item) ?? [];
      if (field === undefined) {
        // What follows the field may be a key.
        const shown = JSON.stringify(item.split('=', 1)[0]);
        throw new UsageError(`--judge-set: ${shown} is no field and value; field=value is, such as seed=1`);
      }
      if (['messages', 'model', 'stream', 'n'].includes(field)) {
        throw new UsageError(`--judge-set: ${field} is decided elsewhere and cannot be set`);
      }
      try {
        return [field, JSON.parse(text!) as unknown];
      } catch {
        return [field, text];
      }
    }),
  );
}
