/** Checkpoints of one safetensors file, or of several with an index, under the names that Hugging Face gives them. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from './atomic.js';
import { type TensorToWrite, tensorBytes, writeSafetensors } from './safetensors.js';

const whole = 'model.safetensors';
const index = 'model.safetensors.index.json';

/**
 * Writes tensors into a folder that is there: `model.safetensors`, or when they take more than `maxShardBytes` the
 * shards `model-00001-of-0000N.safetensors` and `model.safetensors.index.json`. A shard is closed before the tensor
 * that would make it too large; a larger tensor has one of its own. Weight files of an earlier checkpoint in the folder
 * are removed once the new one is whole. Errors: those of `writeSafetensors`.
 */
export async function writeWeights(
  folder: string,
  tensors: Iterable<TensorToWrite>,
  { maxShardBytes, metadata }: { maxShardBytes: number; metadata?: Readonly<Record<string, string>> },
): Promise<void> {
  const shards = shardsOf([...tensors], maxShardBytes);
  const names = shards.map((_, i) => (shards.length === 1 ? whole : shardName(i + 1, shards.length)));
  for (const [i, shard] of shards.entries()) await writeSafetensors(join(folder, names[i]!), shard, metadata);
  if (shards.length > 1) {
    const weightMap = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]!] as const));
    const totalSize = shards.flat().reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
    const text = { metadata: { total_size: totalSize }, weight_map: Object.fromEntries(weightMap.sort()) };
    await writeFileAtomic(join(folder, index), `${JSON.stringify(text, null, 2)}\n`);
  }
  const kept = new Set([...names, ...(shards.length > 1 ? [index] : [])]);
  for (const name of await readdir(folder)) {
    const isWeights = name === whole || name === index || /^model-\d{5}-of-\d{5}\.safetensors$/.test(name);
    if (isWeights && !kept.has(name)) await rm(join(folder, name));
  }
}

function shardsOf(tensors: readonly TensorToWrite[], maxShardBytes: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor);
    if (filled > 0 && filled + bytes > maxShardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += bytes;
  }
  return shards;
}

const five = (n: number) => String(n).padStart(5, '0');
const shardName = (i: number, of: number) => `model-${five(i)}-of-${five(of)}.safetensors`;
