/** What a run has come to, in numbers that may be compared with those of a run that was divided otherwise. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { loadModel } from '#reanchor/models/load.js';
import { readEvents } from '#reanchor/runs/index.js';
import { readTensors } from './tensors.js';
import { weights } from './training.js';

export interface RunNumbers {
  /** By event, step and metric. */
  metrics: Map<string, number>;
  /** What was told of updates of the reference and of what went wrong. */
  told: object[];
  weights: number[];
}

/** Numbers of the events that a run has written, and of its weights. */
export async function runNumbers(out: string): Promise<RunNumbers> {
  const metrics = new Map<string, number>();
  const told: object[] = [];
  for (const event of readEvents(join(out, 'events.jsonl')).events) {
    if (event.type === 'reference') told.push([event.step, event.version, event.share]);
    if (event.type === 'warning' && /step \d/.test(event.message)) told.push([event.message]);
    if (event.type !== 'step' && event.type !== 'evaluation') continue;
    for (const [name, value] of Object.entries(event.metrics)) {
      if (!/^memory|tokens_per_second/.test(name)) metrics.set(`${event.type} ${event.step} ${name}`, value);
    }
  }
  return { metrics, told, weights: await finalWeights(join(out, 'final')) };
}

/** The weights of a model, or the factors of an adapter. */
async function finalWeights(final: string): Promise<number[]> {
  const factors = join(final, 'adapter_model.safetensors');
  if (existsSync(factors)) return [...(await readTensors(factors)).values()].flatMap((factor) => factor.toList());
  using model = await loadModel(final, { dtype: 'float64' });
  return weights(model);
}

/** Equal within 1e-10, relatively where numbers are above 1. */
export function expectEqualNumbers(one: RunNumbers, other: RunNumbers): void {
  expect([...one.metrics.keys()]).toEqual([...other.metrics.keys()]);
  expect(one.told).toEqual(other.told);
  for (const [name, value] of one.metrics) {
    expect(Math.abs(value - other.metrics.get(name)!), name).toBeLessThan(1e-10 * Math.max(1, Math.abs(value)));
  }
  const apart = one.weights.map((weight, i) => Math.abs(weight - other.weights[i]!));
  expect(Math.max(...apart)).toBeLessThan(1e-10);
}
