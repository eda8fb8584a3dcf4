/** Runs of two processes on the CPU, whose messages and tensors are measured, for the tests of what is estimated. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { estimateRun, modeOf, type ShardMode, totalMemory, totalSent } from '#reanchor/estimate/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { type MeasuredCall, rests } from './measured-group.js';
import { sizedLlama } from './sized-llama.js';
import { tinyPairs } from './training.js';
import { type RankMeasures, TrainingRanks } from './training-ranks.js';

export const soft = 'reference: { update: soft, alpha: 0.3 }';
export const cached = 'reference: { update: hard, tau: 2, storage: cached }';

/** `parallel.shard`, precision, method, reference, tokens of a micro-batch, the rest of `parallel`, and other keys. */
export type EstimatedRun = readonly [ShardMode, string, string, string, number, string, string];

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
    const sizes = { vocab_size: 512, hidden_size: 160, intermediate_size: 320, num_hidden_layers: 6 };
    const parameters = await sizedLlama(join(folder, 'model'), sizes);
    const ranks = new TrainingRanks(2);
    await ranks.start();
    return new MeasuredRuns(folder, ranks, parameters);
  }

  /** The text of a recipe. */
  recipe(rest: string): string {
    return `model: ${join(this.folder, 'model')}
data: { train: ${tinyPairs}, limit: 24, maxLength: 32 }
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
  measure(recipe: string): Promise<RankMeasures[]> {
    return this.ranks.measure(2, { recipe, out: join(this.folder, `run ${this.#runs++}`) });
  }

  /** Runs it, and expects to be sent and held what is estimated. */
  async expectAsEstimated([shard, precision, method, reference, tokens, rest, keys]: EstimatedRun): Promise<void> {
    const text = this.recipe(`parallel: { shard: ${shard}${rest} }\nprecision: ${precision}\n${keys}`)
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
      // Beside an adapter the block that gloo copies on its way is more of the whole.
      const most = recipe.adapter ? 0.1 : 0.08;
      expect(Math.abs(estimated / peak - 1), `${estimated} bytes estimated, ${peak} held`).toBeLessThan(most);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ranks[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}
