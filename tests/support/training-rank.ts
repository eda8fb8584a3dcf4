/** A process of {@link TrainingRanks}: trains what it is told to, and answers what came of it. */
import { setTimeout } from 'node:timers/promises';
import { memory, ProcessGroup, resetPeak, setNumThreads, TcpStore } from '@reanchor/torch';
import { train } from '#reanchor/driver/index.js';
import { parseRecipe } from '#reanchor/recipe/index.js';
import { actingGroup, actions, expectStrikes, watchDisk } from './actions.js';
import { type MeasuredCall, measuredGroup } from './measured-group.js';
import { traceNumbers } from './trace-run.js';
import type { RankOrder, TrainAnswer, TrainOrder } from './training-ranks.js';

setNumThreads(1);
await watchDisk();
const here = process.cwd();
process.on('message', async (order: RankOrder) => {
  const { rank, world, port, group: name } = order;
  const { timeoutSeconds = 30 } = 'trace' in order ? {} : order;
  let answer: object;
  try {
    using store = await TcpStore.open({ host: '127.0.0.1', port, timeoutSeconds: 20 });
    using group = await ProcessGroup.open({ store, rank, world, name, timeoutSeconds });
    answer = 'trace' in order ? await traceNumbers(order, group) : await trained(order, group);
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  process.send!(answer);
});

async function trained(order: TrainOrder, group: ProcessGroup): Promise<TrainAnswer> {
  const { recipe, other, out, resume, stop, isMeasured, isTold, strikes = [], folders } = order;
  const { rank } = group;
  const abort = new AbortController();
  process.chdir(folders?.[rank] ?? here);
  expectStrikes(strikes.filter((strike) => strike.rank === rank));
  let steps = 0;
  const calls: MeasuredCall[] = [];
  if (isMeasured) await freeOthers();
  resetPeak();
  if (stop?.rank === rank && stop.step === 0) abort.abort(new Error('asked to stop'));
  const { isFinished, ...result } = await train({
    ...{
      recipe: parseRecipe((rank === 1 && other) || recipe, { file: 'recipe.yaml', env: {} }),
      out,
      resume,
      world: isMeasured ? measuredGroup(group, calls) : actingGroup(group),
    },
    signal: abort.signal,
    onEvent: (event) => {
      if (event.type === 'step') steps = event.step;
      if (stop?.rank === rank && steps === stop.step) abort.abort(new Error('asked to stop'));
    },
  });
  const measures = { calls, peak: memory().peakTensorBytes };
  return { isFinished, steps: result.steps, ...(isMeasured && { measures }), ...(isTold && { actions }) };
}

/** Frees what earlier runs have left to the garbage collector. */
async function freeOthers(): Promise<void> {
  globalThis.gc!();
  await setTimeout(50);
}

process.on('disconnect', () => process.exit());
process.send!('ready');
