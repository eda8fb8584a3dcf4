import { modelPlace } from '../data/index.js';
import type { MergeOptions } from '../driver/index.js';
import { requireNewFolder } from '../formats/index.js';
import { checkRecipeValue } from '../recipe/index.js';
import { deviceFlag } from './flags.js';
import { downloadStatus, number } from './progress.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `merge` as commander gives them. */
export interface MergeFlags {
  model: string;
  adapter?: string;
  out: string;
  dtype?: string;
  maxShardSize?: string;
  check?: string[];
  device?: string;
}

/** `reanchor merge`: a model with its adapter merged into it, in a new folder; prints what that has changed. */
export async function mergeVerb(flags: MergeFlags, terminal: Terminal): Promise<void> {
  const { model, adapter, out } = flags;
  const { dtype, maxShardSize } = savingOf(flags);
  const device = deviceFlag(flags.device);
  await requireNewFolder(out);
  const hub = { onDownload: downloadStatus(terminal), onNote: (note: string) => terminal.note(note) };
  const place = await modelPlace(model, { ...hub, adapter });
  const { scoredRows } = await import('../eval/scored-rows.js');
  const before = flags.check && (await scoredRows(place, flags.check, { ...hub, device }));
  const { mergeAdapter } = await import('../driver/index.js');
  const result = await mergeAdapter(place, {
    ...{ out, device, dtype, maxShardSize },
    names: { base: adapter === undefined ? undefined : model, adapter: adapter ?? model },
    onProgress: (done, total) => terminal.status(`merging ${Math.floor((100 * done) / total)} %`),
  });
  terminal.endStatus();
  const rows = [
    ['modules merged', number(result.modules)],
    ['|added| / |weights|', result.relative.toPrecision(3)],
    ['of it lost to rounding', `${(100 * result.lost).toPrecision(2)} %`],
    ['stored in', result.dtype],
  ];
  if (before) {
    const difference = await before.differenceTo({ base: out });
    rows.push(['largest difference', `${difference.toPrecision(2)} nats of ${number(before.completions)} completions`]);
  }
  for (const line of table(rows)) terminal.result(line);
  terminal.note(`wrote ${out}`);
}

/** What the flags say of storage. Errors: UsageError. */
function savingOf({ dtype, maxShardSize }: MergeFlags): Pick<MergeOptions, 'dtype' | 'maxShardSize'> {
  if (dtype !== undefined) checkRecipeValue('save.dtype', dtype, '--dtype');
  if (maxShardSize !== undefined) checkRecipeValue('save.maxShardSize', maxShardSize, '--max-shard-size');
  return { dtype: dtype as MergeOptions['dtype'], maxShardSize };
}
