import { join } from 'node:path';
import { runName } from '../runs/folder.js';
import { newestRun } from '../runs/resume.js';
import { downloadStatus, TrainProgress } from './progress.js';
import { recipeFor } from './recipe.js';
import { shellPath, shellWord, type Terminal, table } from './terminal.js';

type Train = typeof import('../train/index.js').train;
type TrainResult = Awaited<ReturnType<Train>>;

export interface TrainFlags {
  set: string[];
  out?: string;
  profile?: string;
  resume?: boolean;
}

/** The exit code of a run that was stopped by a signal and can be gone on with. */
const interruptedCode = 130;

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * `reanchor train RECIPE`: trains, prints how the evaluation changed and where the model is.
 * With `resume` it goes on with the run in `out`, or the newest one of the recipe. Returns the exit code: 130 when the run
 * was stopped by Ctrl-C (SIGINT) or SIGTERM. `load` gives the library's function.
 */
export async function trainVerb(
  recipeFile: string,
  { set, out: given, resume = false, profile }: TrainFlags,
  terminal: Terminal,
  load: () => Promise<{ train: Train }> = () => import('../train/index.js'),
): Promise<number> {
  const recipe = recipeFor(terminal, recipeFile, { set });
  const out = given ?? (resume ? await newestRun(recipeFile, 'runs') : join('runs', runName(recipeFile, new Date())));
  const { train } = await load();
  const command = [
    'reanchor',
    'train',
    recipeFile,
    ...set.flatMap((item) => ['--set', item]),
    ...(given ? ['--out', given] : []),
    ...(resume ? ['--resume'] : []),
    ...(profile ? ['--profile', profile] : []),
  ];
  const progress = new TrainProgress(terminal);
  const stop = new AbortController();
  const onSignal = () => {
    terminal.note('stopping after this step, with a checkpoint; Ctrl-C again stops at once');
    stop.abort();
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const result = await train({
      recipe,
      out,
      command,
      resume,
      onEvent: (event) => progress.onEvent(event),
      onDownload: downloadStatus(terminal),
      signal: stop.signal,
      profile,
    });
    terminal.endStatus();
    if (resume && progress.plannedSteps === 0) terminal.note(`the run in ${out} is finished already`);
    for (const line of summary(result, recipe.model)) terminal.result(line);
    if (result.isFinished) return 0;
    const sets = set.map((item) => ` --set ${shellWord(item)}`).join('');
    terminal.note(`stopped after ${result.steps} of ${progress.plannedSteps} steps; to go on:`);
    terminal.note(`  npx reanchor train ${shellWord(recipeFile)}${sets} --out ${shellWord(out)} --resume`);
    return interruptedCode;
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    terminal.endStatus();
    terminal.note(
      resume
        ? `stopped before the first step: ${out} is as it was`
        : 'stopped before the first step: nothing was trained',
    );
    return interruptedCode;
  } finally {
    terminal.endStatus();
    for (const signal of signals) process.off(signal, onSignal);
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
  const models = `--model ${shellWord(final)} --reference ${shellPath(model)}`;
  return [...evaluation, `model  ${final}`, `next   npx reanchor score ${models} --data FILE --out scores.jsonl`];
}
