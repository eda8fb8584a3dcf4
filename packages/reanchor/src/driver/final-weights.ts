/** The weights that a run leaves in `final/`: the last ones, or those of its best checkpoint. */
import { join } from 'node:path';
import { FormatError } from '../errors.js';
import { tell } from '../parallel/tell.js';
import { bestStep, checkpointName, listCheckpoints, verifyCheckpoint } from '../runs/index.js';
import { AdapterWeights } from '../weights/adapter-weights.js';
import type { ModelWeights } from '../weights/weights.js';
import { loadPolicy, type OpenRun, type RunOptions, stoppedBy, trainedModel } from './open-run.js';
import type { TrainedModel } from './save-trained.js';

/** The checkpoint whose weights a run leaves, with what its card says of it. */
interface Chosen extends Pick<TrainedModel, 'best' | 'updates'> {
  path: string;
}

/**
 * On rank 0: the model that the run leaves, by `checkpoint.final` of its recipe. The others have to call
 * {@link bestWeights} meanwhile. Errors: those of loading the checkpoint.
 */
export async function finalModel(opened: OpenRun): Promise<TrainedModel & Disposable> {
  const { options, record } = opened;
  const trained = { ...trainedModel(opened), stopped: stoppedBy(opened) };
  const warn = (message: string) => record.emit({ type: 'warning', message });
  const chosen = options.recipe.checkpoint.final === 'best' ? await chooseBest(opened, warn) : undefined;
  const weights = await bestWeights(options, chosen);
  if (weights === undefined) return { ...trained, best: chosen?.best, [Symbol.dispose]() {} };
  return { ...trained, ...chosen, weights, [Symbol.dispose]: () => weights[Symbol.dispose]() };
}

/**
 * The weights of the checkpoint that rank 0 has chosen for the end, on all processes that have to be there when they
 * are saved; undefined where the last ones are left. Errors: those of loading a checkpoint.
 */
export async function bestWeights(
  options: RunOptions,
  chosen?: Partial<Chosen> | undefined,
): Promise<ModelWeights | undefined> {
  const { recipe, weights, mesh } = options;
  if (recipe.checkpoint.final !== 'best') return undefined;
  const path = tell(mesh.world, chosen?.path);
  if (path === undefined || (mesh.world.rank > 0 && !weights.isSharded)) return undefined;
  // On the base that is there.
  if (weights instanceof AdapterWeights) return await weights.anchorFrom(path);
  return await loadPolicy({ ...options, device: weights.model.device }, { path });
}

/**
 * The best step that was evaluated, among those with a checkpoint and the last one, whose weights are at hand and have
 * no path. Undefined, with a warning, where it cannot be told, or its checkpoint cannot be read.
 */
async function chooseBest(
  { options, record, evaluations: { results }, trainer }: OpenRun,
  warn: (message: string) => void,
): Promise<Partial<Chosen> | undefined> {
  const metric = options.recipe.checkpoint.best!;
  const { checkpoints } = record.folder;
  const there = listCheckpoints(checkpoints).map(({ step }) => step);
  const step = bestStep(results, metric, [...there, trainer.steps]);
  const instead = `final/ has the weights of the last step, ${trainer.steps} (checkpoint.final: best)`;
  if (step === undefined) {
    warn(`no checkpoint was evaluated, so that none is the best by ${metric}: ${instead}`);
    return undefined;
  }
  const best = { step, metric, value: results.find((one) => one.step === step)!.metrics[metric]! };
  if (step === trainer.steps) return { best };
  const path = join(checkpoints, checkpointName(step));
  try {
    const { reference } = await verifyCheckpoint(path, options.stop.signal);
    return { path, best, updates: reference?.version ?? 0 };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    warn(`the best checkpoint is damaged (${error.message}): ${instead}`);
    return undefined;
  }
}
