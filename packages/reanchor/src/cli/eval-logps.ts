import { describeSkips } from '../data/index.js';
import type { ModelLogps } from '../eval/logps/logps.js';
import { requireWritable, writeFileAtomic } from '../formats/index.js';
import { leads } from '../parallel/together.js';
import { checkRecipeValue } from '../recipe/index.js';
import { packageVersion } from '../version.js';
import { numberFlag, numeric } from './flags.js';
import { inProcesses, type ProcessesFlags, type Shared } from './processes.js';
import { downloadStatus, number } from './progress.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `eval logps` as commander gives them. */
export interface LogpsFlags extends ProcessesFlags {
  base?: string;
  data: string[];
  maxLength?: string;
  format?: string;
  chatTemplate?: string;
  keepIdentical?: boolean;
  level: string;
  resamples: string;
  seed: string;
  json?: string;
}

/**
 * `reanchor eval logps`: prints mean log-probabilities of each model and their change; `--json` writes them. Returns
 * the exit code.
 */
export async function logpsVerb(models: readonly string[], flags: LogpsFlags, terminal: Terminal): Promise<number> {
  const settings = settingsOf(flags);
  return await inProcesses({ ...flags, models }, { terminal }, (shared) => measure(models, flags, settings, shared));
}

/** What the flags say of numbers and rows. Errors: UsageError. */
function settingsOf(flags: LogpsFlags) {
  const level = numberFlag('--level', flags.level, { above: true, max: 0.9999 });
  const resamples = numberFlag('--resamples', flags.resamples, { integer: true, min: 1 });
  const seed = numberFlag('--seed', flags.seed, { integer: true });
  const maxLength =
    flags.maxLength === undefined
      ? undefined
      : (checkRecipeValue('data.maxLength', numeric(flags.maxLength), '--max-length') as number);
  const format =
    flags.format === undefined ? undefined : (checkRecipeValue('data.format', flags.format, '--format') as 'auto');
  return { level, resamples, seed, maxLength, format };
}

async function measure(
  models: readonly string[],
  flags: LogpsFlags,
  { level, resamples, seed, ...text }: ReturnType<typeof settingsOf>,
  { terminal, world, device, signal }: Shared,
): Promise<undefined> {
  const { base, data, keepIdentical, chatTemplate } = flags;
  if (flags.json !== undefined && leads(world)) await requireWritable(flags.json, 0);
  const { checkpointLogps, measures } = await import('../eval/logps/logps.js');
  const drawing = { level, resamples, seed };
  const result = await checkpointLogps({
    ...{ models, base, data, keepIdentical, chatTemplate, ...text, ...drawing, world, device, signal },
    onDownload: downloadStatus(terminal),
    onNote: (note) => terminal.note(note),
    onProgress: (name, done, total) => terminal.status(`${name}: scored ${Math.floor((100 * done) / total)} %`),
  });
  terminal.endStatus();
  const { rows, scored, skipped, tokens } = result;
  for (const line of describeSkips(skipped)) terminal.note(line);
  const head = ['nats a completion', 'pairs', ...measures, 'chosen > rejected'];
  const means = result.models.map(({ name, logps, accuracy }) => [
    name,
    number(scored),
    ...measures.map((measure) => logps[measure].mean.toFixed(3)),
    accuracy.toFixed(4),
  ]);
  for (const line of table([head, ...means])) terminal.result(line);
  if (result.models.length > 1) {
    terminal.result('');
    const changed = [
      'change against the first',
      ...measures.flatMap((measure) => [measure, `${100 * level} % interval`]),
    ];
    for (const line of table([changed, ...result.models.flatMap(changeRow(measures))])) terminal.result(line);
  }
  terminal.note(
    `${number(scored)} of ${number(rows)} rows, ${number(tokens.chosen)} tokens chosen and ${number(tokens.rejected)} rejected`,
  );
  if (flags.json === undefined || !leads(world)) return;
  const settings = { base, data, ...result.settings, ...drawing };
  const reasons = Object.fromEntries([...skipped.byReason].map(([reason, places]) => [reason, places.length]));
  const document = {
    ...{ evaluation: 'logps', reanchor: packageVersion(), settings, rows, scored, skipped: reasons, tokens },
    models: result.models,
  };
  await writeFileAtomic(flags.json, `${JSON.stringify(document, null, 1)}\n`);
  terminal.note(`wrote ${flags.json}`);
}

const changeRow =
  (measures: typeof import('../eval/logps/logps.js').measures) =>
  ({ name, change }: ModelLogps): string[][] => {
    if (!change) return [];
    const cells = measures.flatMap((measure) => {
      const { estimate, low, high } = change[measure];
      return [signed(estimate), `${signed(low)} to ${signed(high)}`];
    });
    return [[name, ...cells]];
  };

const signed = (value: number) => `${value < 0 ? '' : '+'}${value.toFixed(3)}`;
