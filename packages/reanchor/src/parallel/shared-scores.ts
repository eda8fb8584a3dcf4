import type { ProcessGroup } from '@reanchor/torch';
import { type Group, microBatches } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { type ScoreCompletionsOptions, scoreCompletions } from '../models/score-completions.js';
import { exchange } from './exchange.js';

/** As {@link scoreCompletions}, each process a part of the groups; all have all numbers, in the order of the groups. */
export async function sharedScores(
  world: ProcessGroup,
  model: CausalLM,
  groups: readonly Group[],
  options: ScoreCompletionsOptions,
): Promise<number[][]> {
  const isOwn = (i: number) => i % world.world === world.rank;
  const own = await scoreCompletions(
    model,
    groups.filter((_, i) => isOwn(i)),
    options,
  );
  await keepPace(world, model, groups, options);
  const scores = groups.map((_, i) => (isOwn(i) ? own[Math.floor(i / world.world)]! : undefined));
  return exchange(
    world,
    scores,
    groups.map(({ completions }) => completions.length),
  );
}

/** Where passes bring parameters from other processes, all make equally many. */
async function keepPace(
  { rank, world }: ProcessGroup,
  model: CausalLM,
  groups: readonly Group[],
  { tokensPerMicroBatch, ...options }: ScoreCompletionsOptions,
): Promise<void> {
  if (!model.residency) return;
  if (tokensPerMicroBatch === undefined) throw new RangeError('processes agree on tokensPerMicroBatch');
  const passes = Array.from({ length: world }, (_, one) => {
    const some = groups.filter((_, i) => i % world === one);
    return [...microBatches(some, tokensPerMicroBatch)].length;
  });
  for (let pass = passes[rank]!; pass < Math.max(...passes); pass++)
    await scoreCompletions(model, [groups[0]!], { ...options, onProgress: undefined });
}
