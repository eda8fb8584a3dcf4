/** The judge of `eval winrate`: a chat model behind a URL, or the implicit rewards of a model here. */
import { UsageError, UserError } from '../errors.js';
import type { PairJudge } from '../eval/judge/judge.js';
import type { JudgeFlags, LocalJudgeFlags } from './commands/judge-options.js';
import { numberFlag } from './flags.js';
import { openJudge } from './open-judge.js';
import type { Shared } from './processes.js';
import { downloadStatus, number } from './progress.js';

export interface PairJudgeSession extends AsyncDisposable {
  judge: PairJudge;
  concurrency: number;
  onProgress: (done: number, total: number) => void;
  /** On a process that is not the first, where several are the judge: does its part until the first is done. */
  assist?: () => Promise<undefined>;
}

/** The flags that are of no use to rewards, by their names in commander. */
const chatFlags = {
  judgeUrl: '--judge-url',
  judgeSet: '--judge-set',
  keyEnv: '--key-env',
  template: '--template',
  temperature: '--temperature',
  maxNewTokens: '--max-new-tokens',
  cache: '--cache',
  concurrency: '--concurrency',
  timeout: '--timeout',
  retries: '--retries',
  budgetCalls: '--budget-calls',
  budgetTokens: '--budget-tokens',
};

/**
 * Opens the judge that the flags describe; `isGiven` says whether a flag was written out. Errors: UsageError for flags
 * without effect, UserError of the models.
 */
export async function openPairJudge(
  flags: JudgeFlags & LocalJudgeFlags,
  { terminal, world, device, signal }: Shared,
  isGiven: (name: string) => boolean,
): Promise<PairJudgeSession> {
  const { judgeModel, judgeReference, judgeAdapter, judgeReferenceAdapter, beta, chatTemplate } = flags;
  if (judgeReference === undefined) {
    const ofRewards = { '--judge-adapter': judgeAdapter, '--judge-reference-adapter': judgeReferenceAdapter };
    for (const [flag, value] of Object.entries({ ...ofRewards, '--beta': beta, '--chat-template': chatTemplate })) {
      if (value === undefined) continue;
      throw new UsageError(`${flag} has no effect without --judge-reference, which makes rewards the judge`);
    }
    const { sideBySideJudge } = await import('../eval/judge/judges.js');
    const session = await openJudge(flags, process.env, terminal);
    try {
      const judge = await sideBySideJudge(session.client, { ...session, template: flags.template });
      return { ...session, judge, [Symbol.asyncDispose]: () => session[Symbol.asyncDispose]() };
    } catch (error) {
      // A template that is none: nobody else will close the session.
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }
  if (judgeModel === undefined) {
    throw new UsageError('--judge-reference needs --judge-model: the model whose rewards against it judge');
  }
  for (const [name, flag] of Object.entries(chatFlags)) {
    if (!isGiven(name)) continue;
    throw new UsageError(`${flag} has no effect with --judge-reference: rewards judge, and nobody is asked`);
  }
  const strength = beta === undefined ? undefined : numberFlag('--beta', beta, { above: true });
  const { RewardJudge } = await import('../eval/rewards/reward-judge.js');
  const judge = await RewardJudge.load({
    ...{ model: judgeModel, adapter: judgeAdapter },
    ...{ reference: judgeReference, referenceAdapter: judgeReferenceAdapter },
    beta: strength,
    ...{ chatTemplate, world, device, signal },
    onDownload: downloadStatus(terminal),
    onNote: (note) => terminal.note(note),
  }).catch((error) => {
    throw ofJudge(error);
  });
  return {
    judge,
    assist: () => judge.assist(),
    // Answers that are asked about at the same time are scored together.
    concurrency: 256,
    onProgress: (done, total) => terminal.status(`judged ${number(done)} of ${number(total)}`),
    async [Symbol.asyncDispose]() {
      terminal.endStatus();
      judge[Symbol.dispose]();
    },
  };
}

/** An error with the models of a judge called as its flags do. */
function ofJudge(error: unknown): unknown {
  if (!(error instanceof UserError)) return error;
  const names: Readonly<Record<string, string>> = {
    ...{ model: 'judgeModel', adapter: 'judgeAdapter' },
    ...{ reference: 'judgeReference', referenceAdapter: 'judgeReferenceAdapter' },
  };
  const Kind = error instanceof UsageError ? UsageError : UserError;
  return new Kind((option) => error.told((name) => option(names[name] ?? name)), { cause: error });
}
