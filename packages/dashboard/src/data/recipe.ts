/** The keys of a recipe as dotted paths with their values as texts, in its order. */
export function flat(section: object, prefix = ''): [key: string, value: string][] {
  return Object.entries(section).flatMap(([name, value]): [string, string][] => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return flat(value, `${prefix}${name}.`);
    return [[prefix + name, typeof value === 'string' ? value : JSON.stringify(value)]];
  });
}

/** The keys in which recipes differ, with the value of each recipe; undefined where it has none. */
export function differences(recipes: readonly object[]): { key: string; values: (string | undefined)[] }[] {
  const maps = recipes.map((recipe) => new Map(flat(recipe)));
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  return keys
    .map((key) => ({ key, values: maps.map((map) => map.get(key)) }))
    .filter(({ values }) => new Set(values).size > 1);
}
