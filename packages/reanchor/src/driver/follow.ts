/**
 * The life of a run on a process that is not rank 0: it computes its share of every step, and writes its
 * share of what is divided into checkpoints.
 */
import { unlessStopped } from '../planning/unless-stopped.js';
import { runFolder } from '../runs/index.js';
import { bestWeights } from './final-weights.js';
import { RunLoop } from './loop.js';
import { loadAnchors, newTrainer, openEvaluations, type RunOptions, runState } from './open-run.js';
import type { TrainResult } from './options.js';
import { resumeHint } from './resume-hint.js';
import { RunawayWatch } from './runaway.js';
import { SavingTurns } from './saving-turns.js';

/**
 * Makes the steps of a run beside rank 0, whose decisions it comes to as well: they go by numbers that all have.
 * Errors: those of the run; DistributedError with the words of a process that has failed.
 */
export async function follow(options: RunOptions): Promise<TrainResult> {
  const { recipe, plan, out, stop, command } = options;
  using anchors = await loadAnchors(options);
  await unlessStopped(options.signal);
  const emit = () => {};
  using evaluations = await openEvaluations(options, anchors.reference, emit);
  using trainer = newTrainer(options, anchors);
  const state = await runState(options, { ...anchors, evaluations, trainer, emit });
  const watch = { mode: recipe.onRunaway, warn: emit, save: async () => {}, resumeHint: resumeHint(command) };
  const turns = new SavingTurns(options.mesh.shard, options.weights.isSharded, (request) => trainer.takePart(request));
  const stoppedAt = await new RunLoop({
    ...{ ...state, plan, stop, emit },
    listeners: [evaluations, turns, new RunawayWatch(state.runaway, watch)],
    checkpoints: { save: async () => out },
    heard: async () => {},
    endsEarly: () => evaluations.endsEarly !== undefined,
    checkFiles: emit,
  }).run();
  using best = stoppedAt === undefined ? await bestWeights(options) : undefined;
  const { shard } = options.mesh;
  const last = best && new SavingTurns(shard, best.isSharded, (request) => best.takePart(request, undefined));
  await (last ?? turns).take();
  return {
    ...{ folder: out, final: runFolder(out).final, steps: trainer.steps, evaluations: evaluations.results },
    isFinished: stoppedAt === undefined,
  };
}
