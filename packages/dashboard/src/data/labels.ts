/** What runs are called beside each other: by what differs between them. */
import type { RunState } from 'reanchor/serve';
import { modelName, shortNames } from '../format.js';
import { differences } from './recipe.js';

/** The keys that tell runs apart best, with their short names, before all others. */
const symbols: Record<string, string> = {
  'loss.type': '',
  'loss.beta': 'β',
  'reference.alpha': 'α',
  'reference.tau': 'τ',
  'optimizer.lr': 'lr',
  model: '',
  seed: 'seed',
};
/** What is in the name of a method, and what runs are run on or tell, which says nothing of their results. */
const passedOver =
  /^(method|reference\.update|extends|threads|device|deterministic|evaluate|checkpoint|save|log|logEvery|parallel)(\.|$)/;
/** More keys than these are no short name. */
const mostKeys = 4;

type Run = Pick<RunState, 'id' | 'info' | 'summary'>;

/** A label for each run: its method, and the keys in which the runs differ; of runs that these do not tell apart the
 * names too. */
export function runLabels(runs: readonly Run[]): string[] {
  const names = shortNames(runs.map(({ id }) => id));
  if (runs.length < 2 || !runs.every(({ info }) => info)) return names;
  const differing = differences(runs.map(({ info }) => info!.recipe)).filter(({ key }) => !passedOver.test(key));
  const order = (key: string) => (key in symbols ? Object.keys(symbols).indexOf(key) : mostKeys + key.length);
  const shown = differing.sort((a, b) => order(a.key) - order(b.key)).slice(0, mostKeys);
  const methods = runs.map(({ summary }) => methodOf(summary));
  const told = new Set(methods).size > 1 || shown.length === 0;
  const labels = runs.map((_, i) => {
    const words = shown.flatMap(({ key, values }) => (values[i] === undefined ? [] : word(key, values[i])));
    return [...(told ? [methods[i]!] : []), ...words].join(' ');
  });
  return labels.map((label, i) => {
    if (label === '') return names[i]!;
    return labels.filter((other) => other === label).length > 1 ? `${label} (${names[i]})` : label;
  });
}

/** `TR-DPO soft`; the share and the period of a reference are keys of their own. */
export function methodOf({ method, reference }: Run['summary']): string {
  const [update = ''] = reference.split(',');
  return ['none', 'fixed', ''].includes(update) ? method : `${method} ${update}`;
}

function word(key: string, value: string): string {
  const name = symbols[key] ?? key.split('.').at(-1)!;
  return `${name} ${value.includes('/') ? modelName(value) : value}`.trim();
}
