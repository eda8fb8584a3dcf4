import { UsageError } from '../errors.js';
import type { PerAnswerAndToken } from '../eval/kl/estimate.js';
import type { KlOptions, KlResult } from '../eval/kl/measure.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { leads } from '../parallel/together.js';
import { packageVersion } from '../version.js';
import { numberFlag } from './flags.js';
import { inProcesses, type ProcessesFlags, type Shared } from './processes.js';
import { downloadStatus, number } from './progress.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval kl` as commander gives them. */
export interface KlFlags extends ProcessesFlags {
  model: string;
  adapter?: string;
  reference: string;
  referenceAdapter?: string;
  prompts?: string;
  answers?: string;
  samples?: string;
  maxNewTokens?: string;
  temperature?: string;
  seed?: string;
  batchSize?: string;
  exact?: boolean;
  chatTemplate?: string;
  json?: string;
}

/**
 * `reanchor eval kl`: prints the KL of a model from a reference, per answer and per token; `--json` writes it. Returns
 * the exit code.
 */
export async function klVerb(flags: KlFlags, terminal: Terminal): Promise<number> {
  const of = answersOf(flags);
  return await inProcesses(flags, { terminal }, (shared) => measure(flags, of, shared));
}

async function measure(
  flags: KlFlags,
  of: KlOptions['of'],
  { terminal, world, device, signal }: Shared,
): Promise<undefined> {
  if (flags.json !== undefined && leads(world)) await requireWritable(flags.json, 0);
  const { measureKl } = await import('../eval/kl/measure.js');
  const { model, adapter, reference, referenceAdapter, exact = false, chatTemplate } = flags;
  const models = { model, adapter, reference, referenceAdapter };
  const result = await measureKl({
    ...models,
    of,
    exact,
    chatTemplate,
    ...{ world, device, signal },
    onDownload: downloadStatus(terminal),
    onNote: (note) => terminal.note(note),
    onProgress: (stage, done, count) => {
      const what = stage === 'writing' ? 'answers' : 'prompts';
      terminal.status(`${stage} ${number(done)} of ${number(count)} ${what}`);
    },
  });
  terminal.endStatus();
  const { logRatio, exact: whole, answers, tokens, ended } = result;
  const rows = [
    row(result.measure === 'log-ratio' ? 'mean log-ratio' : 'KL from log-ratios', logRatio),
    ...(whole ? [row('KL of next tokens', whole)] : []),
  ];
  for (const line of table([['nats', 'per answer', 's.e.', 'per token', 's.e.'], ...rows])) terminal.result(line);
  terminal.note(
    `${number(answers)} answers to ${number(result.prompts)} prompts, ${number(tokens)} tokens, ${number(ended)} ended by themselves`,
  );
  for (const line of caveats(result, of)) terminal.note(line);
  if (flags.json === undefined || !leads(world)) return;
  const settings = { ...models, ...of, exact, chatTemplate };
  const document = { evaluation: 'kl', reanchor: packageVersion(), settings, ...result };
  await writeFileAtomic(flags.json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${flags.json}`);
}

/** What answers the flags mean. Errors: UsageError for flags without effect. */
function answersOf(flags: KlFlags): KlOptions['of'] {
  const { prompts, answers } = flags;
  if ((prompts === undefined) === (answers === undefined)) {
    throw new UsageError('name either --prompts, which the model answers, or --answers, which it has written');
  }
  if (prompts === undefined) {
    const sampling = { samples: 'samples', maxNewTokens: 'max-new-tokens', temperature: 'temperature' } as const;
    for (const [key, flag] of Object.entries({ ...sampling, seed: 'seed', batchSize: 'batch-size' } as const)) {
      if (flags[key as 'seed'] === undefined) continue;
      throw new UsageError(`--${flag} has no effect with --answers, which are written already`);
    }
    return { answers: answers! };
  }
  const { samples = '1', maxNewTokens = '256', temperature = '1', seed = '0', batchSize = '32' } = flags;
  const count = { integer: true, min: 1 };
  const sampling = {
    prompts,
    samples: numberFlag('--samples', samples, count),
    maxNewTokens: numberFlag('--max-new-tokens', maxNewTokens, count),
    temperature: numberFlag('--temperature', temperature, {}),
    seed: numberFlag('--seed', seed, { integer: true, max: Number.MAX_SAFE_INTEGER }),
    batchSize: numberFlag('--batch-size', batchSize, count),
  };
  if (sampling.temperature === 0 && sampling.samples > 1) {
    throw new UsageError('--samples has no effect with --temperature 0: all answers to a prompt would be the same');
  }
  return sampling;
}

const row = (name: string, { sequence, token }: PerAnswerAndToken) => [
  name,
  ...[sequence, token].flatMap(({ estimate, standardError }, i) => [
    estimate.toFixed(4 + i),
    Number.isNaN(standardError) ? '-' : standardError.toFixed(4 + i),
  ]),
];

function caveats({ measure }: KlResult, of: KlOptions['of']): string[] {
  if (measure === 'kl') return [];
  if (measure === 'given') {
    return [
      'it is a KL if the model wrote these answers at temperature 1, with neither top-k nor top-p nor stop strings',
    ];
  }
  const { temperature } = of as { temperature: number };
  return [
    `the answers were drawn at temperature ${temperature}: this is a mean over them, and no KL of the two models`,
  ];
}
