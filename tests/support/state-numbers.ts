/** All tensors of a checkpoint: policy, reference or its log-probabilities, moments of the optimizer. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect } from 'vitest';
import { checkpointFiles, listCheckpoints } from '#reanchor/runs/index.js';
import { readNumbers } from '#reanchor/weights/tensor-file.js';
import { readTensors } from './tensors.js';

/** Values by file and name. */
export type StateNumbers = ReadonlyMap<string, ArrayLike<number>>;

const weightsIn = (folder: string) => join(folder, 'model.safetensors');
const tensorFiles = [weightsIn('.'), checkpointFiles.optimizer, weightsIn(checkpointFiles.reference)];
const cachedFile = `${checkpointFiles.reference}.safetensors`;

/** What the newest checkpoint of a run holds. */
export async function stateNumbers(out: string): Promise<StateNumbers> {
  const { path } = listCheckpoints(join(out, 'checkpoints')).at(-1)!;
  const numbers = new Map<string, ArrayLike<number>>();
  if (existsSync(join(path, cachedFile))) {
    for (const [row, logprob] of await readNumbers(join(path, cachedFile)))
      numbers.set(`${cachedFile} ${row}`, [logprob]);
  }
  for (const file of tensorFiles) {
    for (const part of partsOf(join(path, file))) {
      for (const [name, tensor] of await readTensors(part)) {
        const key = `${file} ${name}`;
        numbers.set(key, [...Array.from(numbers.get(key) ?? []), ...tensor.toList().flat()] as number[]);
        tensor.dispose();
      }
    }
  }
  return numbers;
}

/** A file, or the pieces in its place in the order of processes, which is that of elements. */
function partsOf(file: string): string[] {
  const folder = dirname(file);
  if (existsSync(file) || !existsSync(folder)) return existsSync(file) ? [file] : [];
  const prefix = `${basename(file, '.safetensors')}-`;
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix) && /-of-\d+\.safetensors$/.test(name));
  return names.sort().map((name) => join(folder, name));
}

/** The same tensors, each element within 1e-10. */
export function expectEqualState(one: StateNumbers, other: StateNumbers): void {
  expect([...one.keys()].sort()).toEqual([...other.keys()].sort());
  for (const [name, values] of one) {
    const others = other.get(name)!;
    expect(values.length, name).toBe(others.length);
    let apart = 0;
    for (let i = 0; i < values.length; i++) apart = Math.max(apart, Math.abs(values[i]! - others[i]!));
    expect(apart, name).toBeLessThan(1e-10);
  }
}
