// Shapes: R rows.
import type { Tensor } from '@reanchor/torch';

/** Columns [R] as one record a row. */
export function scoresOf<Score>(columns_R: Record<keyof Score, Tensor>): Score[] {
  const names = Object.keys(columns_R) as (keyof Score)[];
  const lists = names.map((name) => columns_R[name].detach().toList());
  return lists[0]!.map((_, i) => Object.fromEntries(names.map((name, n) => [name, lists[n]![i]])) as Score);
}
