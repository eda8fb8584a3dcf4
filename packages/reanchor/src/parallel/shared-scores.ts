import { setImmediate } from 'node:timers/promises';
import type { ProcessGroup } from '@reanchor/torch';
import { type Group, microBatches } from '../data/index.js';
import type { CausalLM } from '../models/causal-lm.js';
import { type ScoreCompletionsOptions, scoreCompletions } from '../models/score-completions.js';
import { exchange } from './exchange.js';

export interface SharedScoresOptions extends Omit<ScoreCompletionsOptions, 'onProgress'> {
  /** Called after each pass, by all processes equally often: where they agree whether to stop. */
  agree?: (() => void) | undefined;
}

/** As {@link scoreCompletions}, each process a part of the groups; all have all numbers, in the order of the groups. */
export async function sharedScores(
  world: ProcessGroup,
  model: CausalLM,
  groups: readonly Group[],
  { agree, ...options }: SharedScoresOptions,
): Promise<number[][]> {
  const isOwn = (i: number) => i % world.world === world.rank;
  const ownGroups = groups.filter((_, i) => isOwn(i));
  const own = await scoreCompletions(model, ownGroups, { ...options, onProgress: agree });
  if (world.world === 1) return own;
  const passes = passesOf(world, groups, options);
  for (let pass = passes[world.rank]!; pass < Math.max(...passes); pass++) {
    // Where passes bring parameters from other processes, all make equally many.
    if (model.residency)
      await scoreCompletions(model, [groups[0]!], { tokensPerMicroBatch: options.tokensPerMicroBatch });
    agree?.();
    await setImmediate();
    options.signal?.throwIfAborted();
  }
  const scores = groups.map((_, i) => (isOwn(i) ? own[Math.floor(i / world.world)]! : undefined));
  return exchange(
    world,
    scores,
    groups.map(({ completions }) => completions.length),
  );
}

/** How many passes each process makes for its groups. */
function passesOf(
  { world }: ProcessGroup,
  groups: readonly Group[],
  { tokensPerMicroBatch }: SharedScoresOptions,
): number[] {
  if (tokensPerMicroBatch === undefined) throw new RangeError('processes agree on tokensPerMicroBatch');
  return Array.from({ length: world }, (_, rank) => {
    const own = groups.filter((_, i) => i % world === rank);
    return [...microBatches(own, tokensPerMicroBatch)].length;
  });
}
