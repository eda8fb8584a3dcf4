/** The runs of a study as a grid: settings by seeds. */
import type { FamilyCurves, StudyState } from 'reanchor/serve';

type Run = StudyState['runs'][number];

export interface Cell {
  /** Of the run, below that of the study. */
  folder: string;
  /** What it has come to at its end; undefined before that, and where it was no finite number. */
  quality: number | undefined;
  /** From 0, the lowest of all ends, to 4. */
  level: number | undefined;
  /** Undefined where the folder of runs is not beside the results. */
  run: Run | undefined;
}

interface Grid {
  seeds: string[];
  rows: { name: string; cells: (Cell | undefined)[] }[];
}

/** Those that are measured, by the names of their settings, then those that have only begun, by their folders. */
export function armGrid(curves: readonly FamilyCurves[], runs: readonly Run[]): Grid {
  const ofFolders = new Map(runs.map((run) => [run.name, run]));
  const rows = new Map<string, { name: string; cells: Map<string, Omit<Cell, 'level'>> }>();
  const put = (name: string, seed: string, cell: Omit<Cell, 'level'>) => {
    const setting = cell.folder.replace(/\/seed-\d+$/, '');
    const row = rows.get(setting) ?? { name, cells: new Map() };
    row.cells.set(seed, cell);
    rows.set(setting, row);
  };
  for (const { arm, seed, folder = `${arm}/seed-${seed}`, hasEnd, points } of curves.flatMap((one) => one.courses)) {
    put(arm, seed, { folder, quality: hasEnd ? points.at(-1)?.quality : undefined, run: ofFolders.get(folder) });
    ofFolders.delete(folder);
  }
  for (const [folder, run] of ofFolders) {
    const [, setting, seed] = /^runs\/(.+)\/seed-(\d+)$/.exec(folder) ?? [];
    if (setting !== undefined)
      put(setting.replace(/\/base$/, '').replace('/', ' '), seed!, { folder, quality: undefined, run });
  }
  const inOrder = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });
  const seeds = [...new Set([...rows.values()].flatMap(({ cells }) => [...cells.keys()]))].sort(inOrder);
  const level = levels(
    [...rows.values()].flatMap(({ cells }) => [...cells.values()].flatMap(({ quality }) => quality ?? [])),
  );
  return {
    seeds,
    rows: [...rows.values()].map(({ name, cells }) => ({
      name,
      cells: seeds.map((seed) => {
        const cell = cells.get(seed);
        return cell && { ...cell, level: cell.quality === undefined ? undefined : level(cell.quality) };
      }),
    })),
  };
}

/** A value's place among all, in five levels of equal width. */
function levels(values: readonly number[]): (value: number) => number {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (value) => (high > low ? Math.min(4, Math.floor((5 * (value - low)) / (high - low))) : 0);
}
