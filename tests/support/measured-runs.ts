/** Runs of two processes on the CPU, whose messages and tensors are measured, for the tests of what is estimated. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { estimateRun, modeOf, type ShardMode, totalMemory, totalSent } from '#reanchor/estimate/index.js';
import { initModel } from '#reanchor/models/init.js';
import { saveModel } from '#reanchor/models/save.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import type { MeasuredCall } from './measured-group.js';
import { fixtures } from './repository.js';
import { tinyModel, tinyPairs } from './training.js';
import { type RankMeasures, TrainingRanks } from './training-ranks.js';

export const soft = 'reference: { update: soft, alpha: 0.3 }';
export const cached = 'reference: { update: hard, tau: 2, storage: cached }';

/** `parallel.shard`, precision, method, reference, tokens of a micro-batch, and what else `parallel` has. */
export type EstimatedRun = readonly [ShardMode, string, string, string, number, string];

export const isOfGradients = ({ name }: MeasuredCall) => ['reduceScatter', 'allReduce', 'allReduce_'].includes(name);

/** The bytes that a process holds between a step and the next. */
export function rests(calls: readonly MeasuredCall[]): number[] {
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

/** Bytes that a process sends in the steps of a run, those of weights and gradients. */
function sentInSteps(calls: readonly MeasuredCall[]): number {
  // One of two processes sends half of what is gathered, or summed with a part for each, and all of what is summed.
  const shares = {
    ...{ allGatherInto: 1 / 2, reduceScatter: 1 / 2, allReduce: 1, allReduce_: 1 },
    ...{ allGather: 0, broadcast_: 0, sum: 0 },
  };
  return calls.reduce((sent, { name, bytes }) => sent + shares[name] * bytes, 0);
}

export class MeasuredRuns implements AsyncDisposable {
  #runs = 0;

  private constructor(
    private readonly folder: string,
    private readonly ranks: TrainingRanks,
    /** Of the model, whose weights are by far the most of what a run holds. */
    readonly parameters: number,
  ) {}

  static async start(): Promise<MeasuredRuns> {
    const folder = mkdtempSync(join(tmpdir(), 'parallel-estimate-'));
    const model = join(folder, 'model');
    const configJson = JSON.parse(readFileSync(join(fixtures, 'models', 'llama-tiny', 'config.json'), 'utf8'));
    mkdirSync(model);
    const sizes = { vocab_size: 512, hidden_size: 256, intermediate_size: 512, num_hidden_layers: 6 };
    using made = initModel({ ...configJson, ...sizes }, { seed: 1, dtype: 'float32' });
    await saveModel(made, model);
    for (const file of readdirSync(tinyModel).filter((name) => name.includes('token')))
      copyFileSync(join(tinyModel, file), join(model, file));
    const parameters = [...made.parameters.values()].reduce((sum, { numel }) => sum + numel, 0);
    return new MeasuredRuns(folder, await TrainingRanks.start(2), parameters);
  }

  /** The text of a recipe. */
  recipe(rest: string): string {
    return `model: ${join(this.folder, 'model')}
data: { train: ${tinyPairs}, limit: 24, maxLength: 48 }
batch: { size: 8, tokensPerMicroBatch: 100 }
method: dpo
reference: { update: soft, alpha: 0.3 }
activationCheckpointing: true
device: cpu
threads: 1
steps: 3
${rest}`;
  }

  /** What each process has sent and held. */
  async measure(recipe: string): Promise<RankMeasures[]> {
    const out = join(this.folder, `run ${this.#runs++}`);
    const answers = await this.ranks.train(2, { recipe, out, isMeasured: true });
    return answers.map((answer) => {
      if ('error' in answer) throw new Error(answer.error);
      return answer.measures!;
    });
  }

  /** Runs it, and expects to be sent and held what is estimated. */
  async expectAsEstimated([shard, precision, method, reference, tokens, rest]: EstimatedRun): Promise<void> {
    const text = this.recipe(`parallel: { shard: ${shard}${rest} }\nprecision: ${precision}`)
      .replace('PerMicroBatch: 100', `PerMicroBatch: ${tokens}`)
      .replace('method: dpo', `method: ${method}`)
      .replace(soft, reference);
    const recipe = parseRecipe(text, { file: 'recipe.yaml', env: {} });
    const { worlds } = await estimateRun({ recipe, processes: 2 });
    const { held, sent, memory } = modeOf(worlds[0]!, shard);
    // A divided reference of which the whole stays is brought once more when it is made.
    const isBrought = reference === soft && (shard === 'optimizer' || shard === 'gradients');
    const atStart = isBrought ? (this.parameters * (precision === 'fp32' ? 4 : 2)) / 2 : 0;
    const estimated = totalMemory({ ...memory, process: 0 });
    for (const { calls, peak } of await this.measure(text)) {
      expect(Math.abs((sentInSteps(calls) - atStart) / (3 * totalSent(sent)) - 1)).toBeLessThan(1e-3);
      expect(Math.abs(rests(calls)[0]! / held - 1)).toBeLessThan(0.02);
      expect(Math.abs(estimated / peak - 1), `${estimated} bytes estimated, ${peak} held`).toBeLessThan(0.08);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ranks[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}
