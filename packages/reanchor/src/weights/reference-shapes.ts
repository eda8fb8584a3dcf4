/** The forms in which a reference has an adapter's factors: arithmetic alone, without libtorch. */
import type { LowRankShape } from '../adapters/index.js';
import { UserError } from '../errors.js';
import type { AdapterAverage } from './weights.js';

type Shapes = ReadonlyMap<string, LowRankShape>;
type Size = { inputs: number; outputs: number };

/**
 * The forms of the factors of a reference that averages products: of a higher rank, no higher than that of their
 * matrix, and of the same scale. Undefined where it has factors as the policy's. Errors: UserError.
 */
export function widenedShapes(
  shapes: Shapes,
  average: AdapterAverage | undefined,
  sizeOf: (layer: string) => Size,
): Map<string, LowRankShape> | undefined {
  const rank = average && productRank(shapes, average);
  if (rank === undefined) return undefined;
  return new Map(
    [...shapes].map(([layer, { r: least, scale, ...shape }]) => {
      const { inputs, outputs } = sizeOf(layer);
      const r = Math.max(least, Math.min(rank, outputs, inputs));
      return [layer, { ...shape, r, alpha: scale * r, scale }];
    }),
  );
}

/** The rank at which products are kept; undefined where factors are averaged. Errors: UserError. */
function productRank(lowRank: Shapes, { form, rank }: AdapterAverage): number | undefined {
  const shapes = [...lowRank.values()];
  const isTurned = shapes.some(({ isDora }) => isDora);
  if (form === 'product' && isTurned) {
    throw new UserError(
      'reference.average is product, and the adapter is of type dora, whose matrices have no low rank: use factors',
    );
  }
  const least = Math.max(...shapes.map(({ r }) => r));
  if (rank !== undefined && rank < least) {
    throw new UserError(`reference.rank is ${rank}, below the rank of the adapter (${least}): take that at least`);
  }
  return form === 'factors' || isTurned ? undefined : (rank ?? 4 * least);
}
