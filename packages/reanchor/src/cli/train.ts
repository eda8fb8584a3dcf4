import type { TrainOptions, TrainResult } from '../driver/index.js';
import { tieToLauncher, type World } from '../launch/index.js';
import type { Recipe } from '../recipe/index.js';
import { isUnusedFolder, newestRun, reserveRunFolder } from '../runs/index.js';
import { placeOf, startProcesses, stoppedCode } from './processes.js';
import { downloadStatus, readingStatus, TrainProgress } from './progress.js';
import { recipeFor } from './recipe.js';
import { stopOnSignals } from './signals.js';
import { shellWord, type Terminal, table } from './terminal.js';

interface Driver extends Pick<typeof import('../driver/index.js'), 'configureProcess' | 'openWorld'> {
  train(options: TrainOptions): Promise<TrainResult>;
}

/** The flags of `train` as commander gives them. */
export interface TrainFlags {
  set: string[];
  out?: string;
  profile?: string;
  resume?: boolean;
  processes?: string;
}

/**
 * `reanchor train RECIPE`: trains, prints how the evaluation changed and where the model is. With `resume` it goes on
 * with the run in `out`, or the newest one of the recipe. Returns the exit code: 130 when the run was stopped by a
 * signal. `load` gives the library's functions.
 */
export async function trainVerb(
  recipeFile: string,
  flags: TrainFlags,
  terminal: Terminal,
  load: () => Promise<Driver> = () => import('../driver/index.js'),
): Promise<number> {
  const recipe = recipeFor(terminal, recipeFile, { set: flags.set });
  const { count, launched } = placeOf(flags);
  if (count !== undefined) return await startProcesses(count, terminal);
  return await trainHere(recipe, { recipeFile, flags, terminal, load, launched });
}

interface TrainHere {
  recipeFile: string;
  flags: TrainFlags;
  terminal: Terminal;
  load: () => Promise<Driver>;
  /** Where this process stands among others, if it does. */
  launched: World | undefined;
}

/** Trains in this process, alone or beside others. */
async function trainHere(recipe: Recipe, options: TrainHere): Promise<number> {
  const { recipeFile, flags, terminal, load, launched } = options;
  const { set, resume = false, profile } = flags;
  // Those that write nothing hear from rank 0 where it writes.
  const isWriter = launched === undefined || launched.rank === 0;
  const isNew = flags.out === undefined && !resume && isWriter;
  using place = isNew ? reserveRunFolder('runs', recipeFile, new Date()) : undefined;
  const out = flags.out ?? place?.path ?? (isWriter ? await newestRun(recipeFile, 'runs') : '');
  if (isWriter && resume && isUnusedFolder(out))
    terminal.note(`there is no run in ${out} to go on with: it begins there`);
  const progress = new TrainProgress(terminal);
  using stop = stopOnSignals(() =>
    terminal.note(
      progress.plannedSteps === 0
        ? 'stopping: training has not begun; Ctrl-C again stops at once'
        : 'stopping after this step, with a checkpoint; Ctrl-C again stops at once',
    ),
  );
  const tellHowToGoOn = (where: string) => {
    if (!isWriter) return stoppedCode;
    const sets = set.map((item) => ` --set ${shellWord(item)}`).join('');
    terminal.note(`stopped ${where}; to go on:`);
    terminal.note(`  npx reanchor train ${shellWord(recipeFile)}${sets} --out ${shellWord(out)} --resume`);
    return stoppedCode;
  };
  try {
    const { train, configureProcess, openWorld } = await load();
    configureProcess(recipe);
    const joining = { device: recipe.device, timeoutSeconds: recipe.parallel.timeoutSeconds };
    using opened = launched && (await openWorld(launched, joining));
    const result = await train({
      ...{ world: opened?.world, device: opened?.device },
      recipe,
      out,
      command: commandOf(recipeFile, flags),
      resume,
      onEvent: (event) => progress.onEvent(event),
      onDownload: downloadStatus(terminal),
      onReading: isWriter ? readingStatus(terminal) : undefined,
      signal: launched?.launcher === 'reanchor' ? AbortSignal.any([stop.signal, tieToLauncher()]) : stop.signal,
      profile,
    });
    terminal.endStatus();
    if (!isWriter) return result.isFinished ? 0 : stoppedCode;
    if (resume && progress.plannedSteps === 0) terminal.note(`the run in ${out} is finished already`);
    for (const line of summary(result, recipe)) terminal.result(line);
    return result.isFinished ? 0 : tellHowToGoOn(`after ${result.steps} of ${progress.plannedSteps} steps`);
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    terminal.endStatus();
    return tellHowToGoOn(`before the first step${resume ? `, ${out} is as it was` : ''}`);
  } finally {
    terminal.endStatus();
  }
}

function commandOf(recipeFile: string, { set, out, resume, profile, processes }: TrainFlags): string[] {
  return [
    'reanchor',
    'train',
    recipeFile,
    ...set.flatMap((item) => ['--set', item]),
    ...(out ? ['--out', out] : []),
    ...(resume ? ['--resume'] : []),
    ...(processes ? ['--processes', processes] : []),
    ...(profile ? ['--profile', profile] : []),
  ];
}

/** What is printed when a run has ended: the evaluation before and after, and how to go on. */
function summary(
  { folder, final, isFinished, evaluations, best }: Omit<TrainResult, 'steps'>,
  recipe: Pick<Recipe, 'method' | 'data'>,
): string[] {
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
  const bestLine = best && `best   ${best.path} (${best.metric} ${best.value.toFixed(4)} after step ${best.step})`;
  return [
    ...evaluation,
    `model  ${final}`,
    ...(bestLine ? [bestLine] : []),
    `next   npx reanchor ${nextVerb(recipe, isFinished ? '' : ` --model ${shellWord(final)}`, shellWord(folder))}`,
  ];
}

/** What can be done with the model of a run, with what has to be filled in in capitals. */
function nextVerb(
  { method, data: { validation } }: Pick<Recipe, 'method' | 'data'>,
  model: string,
  run: string,
): string {
  if (method === 'sft') return `generate --run ${run}${model} --prompt TEXT`;
  // Rows with labels are no pairs, and those that were held out are no file.
  const isNamed = method !== 'kto' && typeof validation !== 'number' && validation !== undefined;
  return `score --run ${run}${model}${isNamed ? '' : ' --data PAIRS'} --out scores.jsonl`;
}
