/** The bytes that a run leaves on disk. */
import { dtypeBytes } from '@reanchor/torch';
import type { ModelShape } from '../models/shape.js';
import { recipeDTypes, recipeMomentBytes, recipeSaveOptions } from '../planning/dtypes.js';
import type { Recipe } from '../recipe/index.js';
import type { AdapterSummary } from './adapter-form.js';

/** Bytes of weights; the headers of their files, the tokenizer and the settings are small beside them. */
export interface ModelFiles {
  /** The trained model or adapter, `final/`, and the model with it merged in, `merged/`. */
  final: number;
  /** A checkpoint: what is trained, two moments of AdamW, a reference that is a model. */
  checkpoint: number;
  /** Checkpoints that are there at the end; undefined of those by time, of which nobody can know. */
  checkpoints: number | undefined;
  /** Checkpoints that are there at once, at most. */
  mostCheckpoints: number;
}

/** What a run of so many steps leaves of its models. */
export function modelFiles(
  recipe: Recipe,
  { parameters }: ModelShape,
  adapter: AdapterSummary | undefined,
  steps: number,
): ModelFiles {
  const { dtype, wide, reference } = recipeDTypes(recipe);
  const hasCopy = recipe.method !== 'sft' && recipe.reference.storage !== 'cached';
  const { every, keep, best } = recipe.checkpoint;
  const kept = keep + (best === undefined ? 0 : 1);
  const written = every === 'never' ? 0 : typeof every === 'number' ? Math.floor(steps / every) : undefined;
  const merged = recipe.save.merged
    ? parameters * dtypeBytes(recipeSaveOptions({ ...recipe, adapter: undefined }).dtype!)
    : 0;
  const { parameters: trained, referenceParameters } = adapter ?? { parameters, referenceParameters: parameters };
  const trainedBytes = dtypeBytes(adapter ? reference : (wide ?? dtype));
  return {
    final: trained * dtypeBytes(recipeSaveOptions(recipe).dtype!) + merged,
    checkpoint:
      trained * (trainedBytes + 2 * (recipeMomentBytes(recipe) ?? trainedBytes)) +
      (hasCopy ? referenceParameters * dtypeBytes(reference) : 0),
    checkpoints: written === undefined ? undefined : Math.min(kept, written),
    // One more is written before an older one is deleted.
    mostCheckpoints: Math.min(kept + 1, written ?? Number.POSITIVE_INFINITY),
  };
}
