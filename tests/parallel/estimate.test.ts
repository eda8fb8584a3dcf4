// What processes hold and send, by measure, beside what is said of it beforehand.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { estimateRun, modeOf, shardModes, totalMemory, totalSent } from '#reanchor/estimate/index.js';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { MeasuredCall } from '../support/measured-group.js';
import { fixtures } from '../support/repository.js';
import { tinyModel, tinyPairs } from '../support/training.js';
import { type RankMeasures, TrainingRanks } from '../support/training-ranks.js';

const folder = mkdtempSync(join(tmpdir(), 'parallel-estimate-'));
const model = join(folder, 'model');
let parameters: number;
let ranks: TrainingRanks;
beforeAll(async () => {
  const configJson = JSON.parse(readFileSync(join(fixtures, 'models', 'llama-tiny', 'config.json'), 'utf8'));
  mkdirSync(model);
  const sizes = { vocab_size: 512, hidden_size: 256, intermediate_size: 512, num_hidden_layers: 6 };
  using made = initModel({ ...configJson, ...sizes }, { seed: 1, dtype: 'float32' });
  await saveModel(made, model);
  parameters = [...made.parameters.values()].reduce((sum, { numel }) => sum + numel, 0);
  for (const file of readdirSync(tinyModel).filter((name) => name.includes('token')))
    copyFileSync(join(tinyModel, file), join(model, file));
  ranks = await TrainingRanks.start(2);
});
afterAll(async () => {
  await ranks[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** A run of 2 processes. The model's weights are by far the most of what it holds. */
const recipeOf = (rest: string) => `model: ${model}
data: { train: ${tinyPairs}, limit: 24, maxLength: 48 }
batch: { size: 8, tokensPerMicroBatch: 100 }
method: dpo
reference: { update: soft, alpha: 0.3 }
activationCheckpointing: true
device: cpu
threads: 1
steps: 3
${rest}`;

let runs = 0;
async function measured(recipe: string): Promise<RankMeasures[]> {
  const answers = await ranks.train(2, { recipe, out: join(folder, `run ${runs++}`), isMeasured: true });
  return answers.map((answer) => {
    if ('error' in answer) throw new Error(answer.error);
    return answer.measures!;
  });
}

const isOfGradients = ({ name }: MeasuredCall) => ['reduceScatter', 'allReduce', 'allReduce_'].includes(name);

/** The bytes that a process holds between a step and the next. */
function rests(calls: readonly MeasuredCall[]): number[] {
  const found: number[] = [];
  let least: number | undefined;
  for (const [i, call] of calls.entries()) {
    if (call.name === 'sum' && least !== undefined) least = Math.min(least, call.held);
    if (!isOfGradients(call)) continue;
    if (least !== undefined && Number.isFinite(least)) found.push(least);
    least = Number.POSITIVE_INFINITY;
    if (i === calls.findLastIndex(isOfGradients)) break;
  }
  return found;
}

test.each(['optimizer', 'gradients', 'parameters'])('shard: %s holds the same after every step', async (shard) => {
  for (const { calls } of await measured(recipeOf(`parallel: { shard: ${shard} }`))) {
    const [first, second, ...more] = rests(calls);
    expect(more).toEqual([]);
    expect(second! - first!).toBeLessThan(0.01 * parameters);
  }
});

test('shard: gradients never holds all of them', async () => {
  // A step of one micro-batch: two blocks at most are whole at once, one that is made and one that is being sent.
  const recipe = recipeOf('parallel: { shard: gradients }').replace('PerMicroBatch: 100', 'PerMicroBatch: 10000');
  for (const { calls } of await measured(recipe)) {
    const [rest] = rests(calls);
    const beginning = calls.findIndex(isOfGradients);
    const most = Math.max(
      ...calls
        .slice(beginning)
        .filter(isOfGradients)
        .map(({ held }) => held),
    );
    // A slice of all, 2 bytes a parameter; what is whole; activations.
    expect(most - rest!).toBeLessThan(5 * parameters);
  }
});

test('divided parameters take 16 bytes of each on all processes together', async () => {
  const measures = await measured(recipeOf('parallel: { shard: parameters }'));
  const held = measures.reduce((sum, { calls }) => sum + rests(calls)[0]!, 0);
  expect(Math.abs(held / (16 * parameters) - 1)).toBeLessThan(0.02);
});

/** Bytes that a process sends in the steps of a run, those of weights and gradients. */
function sentInSteps(calls: readonly MeasuredCall[]): number {
  // One of two processes sends half of what is gathered, or summed with a part for each, and all of what is summed.
  const shares = {
    ...{ allGatherInto: 1 / 2, reduceScatter: 1 / 2, allReduce: 1, allReduce_: 1 },
    ...{ allGather: 0, broadcast_: 0, sum: 0 },
  };
  return calls.reduce((sent, { name, bytes }) => sent + shares[name] * bytes, 0);
}

const soft = 'reference: { update: soft, alpha: 0.3 }';
const cached = 'reference: { update: hard, tau: 2, storage: cached }';
const cases = [
  ...shardModes.map((shard) => [shard, 'bf16', 'dpo', soft, 100] as const),
  ...(['none', 'gradients'] as const).map((shard) => [shard, 'bf16', 'kto', soft, 10_000] as const),
  ...(['optimizer', 'parameters'] as const).map((shard) => [shard, 'fp32', 'dpo', cached, 10_000] as const),
];
const otherwise = [
  ['gradients', 'bf16', 'dpo', cached, 100, ', reduce: bfloat16'],
  ['parameters', 'bf16', 'dpo', soft, 100, ', replicas: 2'],
] as const;
test.each<(typeof cases)[number] | (typeof otherwise)[number]>([...cases, ...otherwise])(
  '%s: %s, %s, %s, %s tokens%s: sent and held as estimated',
  async (...run) => {
    const [shard, precision, method, reference, tokens, rest] = run;
    const text = recipeOf(`parallel: { shard: ${shard}${rest} }\nprecision: ${precision}`)
      .replace('PerMicroBatch: 100', `PerMicroBatch: ${tokens}`)
      .replace('method: dpo', `method: ${method}`)
      .replace(soft, reference);
    const recipe = parseRecipe(text, { file: 'recipe.yaml', env: {} });
    const { worlds } = await estimateRun({ recipe, processes: 2 });
    const { held, sent, memory } = modeOf(worlds[0]!, shard);
    // A divided reference of which the whole stays is brought once more when it is made.
    const isBrought = reference === soft && (shard === 'optimizer' || shard === 'gradients');
    const atStart = isBrought ? (parameters * (precision === 'fp32' ? 4 : 2)) / 2 : 0;
    const estimated = totalMemory({ ...memory, process: 0 });
    for (const { calls, peak } of await measured(text)) {
      expect(Math.abs((sentInSteps(calls) - atStart) / (3 * totalSent(sent)) - 1)).toBeLessThan(1e-3);
      expect(Math.abs(rests(calls)[0]! / held - 1)).toBeLessThan(0.02);
      expect(Math.abs(estimated / peak - 1), `${estimated} bytes estimated, ${peak} held`).toBeLessThan(0.08);
    }
  },
);
