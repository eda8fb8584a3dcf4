import { type ModelPlace, type ModelPlaceOptions, modelPlace } from '../data/index.js';
import type { Naming } from '../errors.js';

/** Where a reference is, as `modelPlace` finds a model. */
export function referencePlace(
  reference: string,
  { referenceAdapter, ...options }: ModelPlaceOptions & { referenceAdapter?: string | undefined },
): Promise<ModelPlace> {
  const remedy = (option: Naming, adapter: string) =>
    `give ${option('reference')} BASE ${option('referenceAdapter')} ${adapter}`;
  return modelPlace(reference, { remedy, ...options, adapter: referenceAdapter });
}
