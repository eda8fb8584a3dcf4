/**
 * A value of JSON with every text in it changed by `change`, which also hears its place, as keys and indices. Names of
 * keys stay.
 */
export function mapTexts<T>(
  value: T,
  change: (text: string, path: readonly PropertyKey[]) => string,
  path: readonly PropertyKey[] = [],
): T {
  const inner = (item: unknown, key: PropertyKey) => mapTexts(item, change, [...path, key]);
  let mapped: unknown = value;
  if (typeof value === 'string') mapped = change(value, path);
  else if (Array.isArray(value)) mapped = value.map(inner);
  // Not by assignment: a key may be called __proto__.
  else if (typeof value === 'object' && value !== null) {
    mapped = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(item, key)]));
  }
  return mapped as T;
}
