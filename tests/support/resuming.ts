/** Runs that are interrupted and go on: tiny models and recipes for them, and what must not differ in the end. */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { train } from '#reanchor/driver/index.js';
import { initModel } from '#reanchor/models/init.js';
import { loadModel, readConfig } from '#reanchor/models/load.js';
import { saveModel } from '#reanchor/models/save.js';
import { FolderAdapter } from '#reanchor/models/stored-adapter.js';
import { parseRecipe, type Recipe } from '#reanchor/recipe/index.js';
import { type RunEvent, readEvents } from '#reanchor/runs/index.js';
import { fixtures } from './repository.js';
import { tinyModel, tinyPairs } from './training.js';

export const architectures = ['llama', 'gpt-neox'] as const;
export const methods = ['dpo', 'ipo', 'kto'] as const;
/** The references by name, as a recipe has them. */
export const references = {
  fixed: '{ update: fixed }',
  soft: '{ update: soft, alpha: 0.5 }',
  hard: '{ update: hard, tau: 3 }',
  cached: '{ update: hard, tau: 3, storage: cached }',
} as const;

/** The folder of a tiny model; that of GPT-NeoX is made in `folder`. */
export async function tinyModelOf(architecture: (typeof architectures)[number], folder: string): Promise<string> {
  if (architecture === 'llama') return tinyModel;
  const path = join(folder, 'gpt-neox');
  if (existsSync(path)) return path;
  mkdirSync(path);
  const config = JSON.parse(readFileSync(join(fixtures, 'models/gpt-neox-parallel/config.json'), 'utf8'));
  const { vocab_size } = JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8'));
  using model = initModel({ ...config, vocab_size }, { seed: 1, dtype: 'float32' });
  await saveModel(model, path);
  for (const name of readdirSync(tinyModel).filter((name) => /token/.test(name)))
    cpSync(join(tinyModel, name), join(path, name));
  return path;
}

/** A model like that of the fixtures with other weights. */
export async function otherLlama(folder: string): Promise<string> {
  const path = join(folder, 'other');
  if (existsSync(path)) return path;
  cpSync(tinyModel, path, { recursive: true });
  using model = initModel(JSON.parse(readFileSync(join(tinyModel, 'config.json'), 'utf8')), {
    seed: 2,
    dtype: 'float32',
  });
  await saveModel(model, path);
  return path;
}

/** A recipe of 8 steps with evaluations, on few rows, with keys set. */
export function resumableRecipe(model: string, ...set: string[]) {
  return parseRecipe(
    `{ model: ${model}, method: dpo, batch: { size: 4 }, steps: 8, logEvery: 3, threads: 1, optimizer: { lr: 1.0e-3 },
       data: { train: ${tinyPairs}, validation: 8, maxLength: 48, limit: 40 }, evaluate: { every: 4 } }`,
    { file: 'test.yaml', set, env: {} },
  );
}

/**
 * Events of clocks, and what a process holds, are not those of the run; neither is it told of here that it was resumed.
 */
function comparable(events: readonly RunEvent[]): object[] {
  return events.flatMap(({ time: _, ...event }): object[] => {
    if (event.type === 'resumed' || event.type === 'checkpoint') return [];
    if (event.type === 'end') return [{ ...event, seconds: 0 }];
    if (event.type === 'saved') return [{ type: event.type }];
    if (event.type !== 'step') return [event];
    const metrics = Object.entries(event.metrics).filter(([name]) => !/^tokens_per_second$|^memory\//.test(name));
    return [{ ...event, metrics: Object.fromEntries(metrics) }];
  });
}

/** What a run has come to: its events, and a hash of its model's weights. */
export function outcome(folder: string) {
  const names = ['model.safetensors', 'adapter_model.safetensors'].map((name) => join(folder, 'final', name));
  const weights = createHash('sha256')
    .update(readFileSync(names.find((name) => existsSync(name))!))
    .digest('hex');
  return { events: comparable(readEvents(join(folder, 'events.jsonl')).events), weights };
}

/**
 * Runs until an event that `stops`, and then, as often as it takes, from there to the next such event. `stops` may
 * return a number: the turns of the event loop until it stops.
 */
export async function interruptedRun(recipe: Recipe, stops: (event: RunEvent) => boolean | number, out: string) {
  for (let resume = false; ; resume = true) {
    const abort = new AbortController();
    const after = (turns: number) => {
      if (turns === 0) abort.abort();
      else setImmediate(() => after(turns - 1));
    };
    const onEvent = (event: RunEvent) => {
      const answer = stops(event);
      if (answer !== false) after(Number(answer) - 1);
    };
    const result = await train({ recipe, out, command: ['test'], resume, signal: abort.signal, onEvent });
    if (result.isFinished) return result;
    if (recipe.adapter) (await FolderAdapter.over(result.final, await readConfig(recipe.model)))[Symbol.dispose]();
    else await loadModel(result.final, { dtype: 'float32' }).then((model) => model[Symbol.dispose]());
  }
}
