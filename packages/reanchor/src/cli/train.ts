import { join } from 'node:path';
import { runName } from '../runs/folder.js';
import { readRecipe } from '../runs/parse.js';
import { downloadStatus, TrainProgress } from './progress.js';
import { shellWord, type Terminal, table } from './terminal.js';

type Train = typeof import('../train/index.js').train;
type TrainResult = Awaited<ReturnType<Train>>;

export interface TrainFlags {
  set: string[];
  out?: string;
  profile?: string;
}

/**
 * `reanchor train RECIPE`: trains, prints how the evaluation changed and where the model is.
 * Returns the exit code: 1 when the run was stopped by Ctrl-C. `load` gives the library's function.
 */
export async function trainVerb(
  recipeFile: string,
  { set, out, profile }: TrainFlags,
  terminal: Terminal,
  load: () => Promise<{ train: Train }> = () => import('../train/index.js'),
): Promise<number> {
  const recipe = readRecipe(recipeFile, { set });
  const { train } = await load();
  const command = [
    'reanchor',
    'train',
    recipeFile,
    ...set.flatMap((item) => ['--set', item]),
    ...(out ? ['--out', out] : []),
    ...(profile ? ['--profile', profile] : []),
  ];
  const progress = new TrainProgress(terminal);
  const stop = new AbortController();
  const onInterrupt = () => {
    terminal.note('stopping after this step; Ctrl-C again stops at once');
    stop.abort();
  };
  process.once('SIGINT', onInterrupt);
  try {
    const result = await train({
      recipe,
      out: out ?? join('runs', runName(recipeFile, new Date())),
      command,
      onEvent: (event) => progress.onEvent(event),
      onDownload: downloadStatus(terminal),
      signal: stop.signal,
      profile,
    });
    terminal.endStatus();
    for (const line of summary(result, recipe.model)) terminal.result(line);
    if (result.steps >= progress.plannedSteps) return 0;
    terminal.note(`stopped by Ctrl-C after ${result.steps} of ${progress.plannedSteps} steps`);
    return 1;
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    terminal.endStatus();
    terminal.note('stopped by Ctrl-C before the first step: nothing was trained');
    return 1;
  } finally {
    terminal.endStatus();
    process.off('SIGINT', onInterrupt);
  }
}

/** What is printed when a run has ended: the evaluation before and after, and how to go on. */
export function summary({ final, evaluations }: Pick<TrainResult, 'final' | 'evaluations'>, model: string): string[] {
  const rows: [string, string][] = [
    ['loss', 'loss'],
    ['accuracy', 'rewards/accuracies'],
    ['margin', 'rewards/margins'],
    ['log-prob accuracy', 'logps/accuracies'],
  ];
  const shown = evaluations.length > 1 ? [evaluations[0]!, evaluations.at(-1)!] : evaluations;
  const evaluation =
    shown.length > 0
      ? table([
          ['validation', ...shown.map(({ step }) => `step ${step}`)],
          ...rows
            .filter(([, name]) => shown.some(({ metrics }) => metrics[name] !== undefined))
            .map(([label, name]) => [label, ...shown.map(({ metrics }) => metrics[name]?.toFixed(4) ?? '')]),
        ])
      : ['not evaluated: the recipe has no data.validation'];
  const models = `--model ${shellWord(final)} --reference ${shellWord(model)}`;
  return [...evaluation, `model  ${final}`, `next   npx reanchor score ${models} --data FILE --out scores.jsonl`];
}
