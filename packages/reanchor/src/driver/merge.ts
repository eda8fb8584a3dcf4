/** An adapter that is merged into its base, for tools that take whole models. */
import { basename, resolve } from 'node:path';
import { type DType, dtypeBytes } from '@reanchor/torch';
import type { ModelPlace } from '../data/index.js';
import { UserError } from '../errors.js';
import { requireNewFolder, requireWritable, writeFolderAtomic } from '../formats/index.js';
import { chooseDevice } from '../models/device.js';
import { saveParameters } from '../models/save.js';
import { type MergeChange, StoredMerge } from '../models/stored-merge.js';
import { dtypes } from '../planning/dtypes.js';
import { type Recipe, sizeBytes } from '../recipe/index.js';
import { loadTokenizer } from '../text/index.js';
import { mergedCard } from './model-card.js';
import { modelFiles, writeFiles } from './model-files.js';

/** Where and how a merged model is written. */
export interface MergeOptions {
  /** The folder to be written, which is not there, or is empty. */
  out: string;
  /** The dtype that the weights are stored in. Default: that which most of the base is stored in. */
  dtype?: Recipe['save']['dtype'];
  /** The size beyond which the weights are stored in several files, as in a recipe. Default: 5GB. */
  maxShardSize?: Recipe['save']['maxShardSize'] | undefined;
  /** auto, cpu, cuda or cuda:N. Default: auto. */
  device?: string | undefined;
  /** What the model card calls the two. Default: what the adapter calls its base, and the adapter's folder. */
  names?: { base?: string | undefined; adapter?: string | undefined } | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What merging has changed, and what rounding took of it. */
export interface MergeResult extends MergeChange {
  dtype: DType;
}

/**
 * Writes a base with its adapter merged into it as a Hugging Face folder that stands alone: W + s B A in float32 or
 * better, rounded once to the dtype of storage; the adapter's tokenizer and generation_config.json where it has some; a
 * model card. One weight is in memory at a time, and the folder appears whole or not at all. A base in four bits is
 * merged as the values of its codes. Errors: UserError for a folder that is in use, a model without an adapter, and an
 * adapter of another base; FormatError.
 */
export async function mergeAdapter(place: ModelPlace, options: MergeOptions): Promise<MergeResult> {
  const { out, maxShardSize = '5GB', names, onProgress } = options;
  await requireNewFolder(out);
  const { base, adapter, quantize } = place;
  if (adapter === undefined)
    throw new UserError((option) => `${base} has no adapter to be merged: name one with ${option('adapter')}`);
  using merge = await StoredMerge.open({ base, adapter, quantize }, chooseDevice(options.device));
  const dtype = options.dtype === undefined ? merge.dtype : dtypes[options.dtype];
  const { config, files } = await modelFiles(place, await loadTokenizer(place), undefined);
  const called = {
    base: names?.base ?? merge.baseName ?? basename(resolve(base)),
    adapter: names?.adapter ?? adapter,
  };
  let done = 0;
  const parameters = merge.parameters(dtype).map(({ value, ...parameter }, _, { length }) => ({
    ...parameter,
    value: () => {
      onProgress?.(done++, length);
      return value();
    },
  }));
  const numel = parameters.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  await requireWritable(out, numel * dtypeBytes(dtype));
  const change = await writeFolderAtomic(out, async (temporary) => {
    const saving = { maxShardBytes: sizeBytes(maxShardSize), config };
    await saveParameters({ configJson: merge.configJson, dtype, parameters }, temporary, saving);
    await writeFiles(temporary, [...files, ['README.md', mergedCard({ ...called, dtype })]]);
    return merge.change();
  });
  return { ...change, dtype };
}
