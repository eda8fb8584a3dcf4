import { join } from 'node:path';
import { exactJson, makeFolder, type TensorToWrite, writeFileAtomic, writeSafetensors } from '../formats/index.js';
import { configName, weightsName } from './names.js';
import { type BaseQuantization, quantizeKey } from './quantization.js';

/**
 * Writes an adapter into a folder of PEFT, which is made where it is not there: the tensors, by the names that they
 * have in such files, and then the config, its keys sorted. `quantize` is the form of the base under it. Each file is
 * whole or absent. Errors: UserError when they cannot be written; those of `writeSafetensors`.
 */
export async function writeAdapter(
  folder: string,
  {
    config,
    tensors,
    quantize,
  }: {
    config: Readonly<Record<string, unknown>>;
    tensors: Iterable<TensorToWrite>;
    quantize?: BaseQuantization | undefined;
  },
): Promise<void> {
  await makeFolder(folder);
  await writeSafetensors(join(folder, weightsName), tensors, {
    format: 'pt',
    ...(quantize && { [quantizeKey]: quantize }),
  });
  const sorted = Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFileAtomic(join(folder, configName), `${exactJson(sorted, 2)}\n`);
}
