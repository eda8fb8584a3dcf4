/** Going on with a run that is there: which one, whether it is done, and what its events said after a checkpoint. */
import { existsSync } from 'node:fs';
import { open as openNew, readdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { UsageError } from '../errors.js';
import {
  createReadStream,
  fileSize,
  open,
  syncFolder,
  writeError,
  writeFileAtomic,
  writeFully,
} from '../formats/index.js';
import { EventWriter } from './event-writer.js';
import { decodeLine } from './events.js';
import type { RunFolder } from './folder.js';
import { lineEnd, pieces } from './open-files.js';

/**
 * The newest run folder under `folder` that `reanchor train` has named after a recipe file. Errors: UsageError that
 * says what is there.
 */
export async function newestRun(recipeFile: string, folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const recipe = basename(recipeFile, extname(recipeFile));
  const ofRecipe = names.flatMap((name) => {
    const [, time, n = '1'] = /^-(\d{8}-\d{6})(?:-(\d+))?$/.exec(name.slice(recipe.length)) ?? [];
    // A folder alone may be left of a process that was killed before it began.
    const isRun = name.startsWith(recipe) && time !== undefined && existsSync(join(folder, name, 'run.json'));
    return isRun ? [{ name, time, n: Number(n) }] : [];
  });
  const [newest] = ofRecipe.sort((a, b) => b.time.localeCompare(a.time) || b.n - a.n);
  if (newest !== undefined) return join(folder, newest.name);
  const others = names.filter((name) => existsSync(join(folder, name, 'run.json'))).sort();
  const there = others.length === 0 ? 'there are no runs' : `the runs there are ${others.join(', ')}`;
  throw new UsageError(
    (option) =>
      `${folder} holds no run of ${recipeFile} to go on with (${there}): name its folder with ${option('out')}, or leave out ${option('resume')}`,
  );
}

/** Whether a run's events tell of a step that was made. */
export async function hasMadeSteps({ events }: RunFolder): Promise<boolean> {
  if (!existsSync(events)) return false;
  for await (const line of createInterface({ input: createReadStream(events) })) {
    const event = decodeLine(line);
    if (typeof event === 'object' && 'step' in event && event.step > 0) return true;
  }
  return false;
}

/** What a finished run has come to. */
interface CompletedRun {
  steps: number;
  evaluations: { step: number; metrics: Record<string, number> }[];
  /** Why it ended before its last step, where it did. */
  stopped: string | undefined;
}

/**
 * What a finished run has come to, by its events; nothing where they are gone. Those that say so are added when it was
 * cut off just before; the time since its last event before is then not counted. `conceal` gives texts as they are
 * written.
 */
export async function completeEvents(
  { events, final }: RunFolder,
  conceal: (text: string) => string = (text) => text,
): Promise<CompletedRun> {
  const evaluations: { step: number; metrics: Record<string, number> }[] = [];
  let steps = 0;
  let stopped: string | undefined;
  if (!existsSync(events)) return { steps, evaluations, stopped };
  let first = '';
  let tail: string[] = [];
  for await (const line of createInterface({ input: createReadStream(events) })) {
    const type = /"type":"(\w+)"/.exec(line)?.[1];
    const event = ['evaluation', 'start', 'stopped'].includes(type ?? '') ? decodeLine(line) : undefined;
    if (typeof event === 'object' && event.type === 'start') steps = event.steps;
    if (typeof event === 'object' && event.type === 'stopped') [steps, stopped] = [event.step, event.message];
    if (typeof event === 'object' && event.type === 'evaluation') {
      evaluations.push({ step: event.step, metrics: event.metrics });
    }
    if (first === '') first = line;
    tail = [...tail.slice(-1), line];
  }
  // The last line may have been cut off.
  const last = tail.map(decodeLine).findLast((event) => typeof event === 'object');
  if (last?.type === 'end') return { steps, evaluations, stopped };
  const began = decodeLine(first);
  const isKnown = typeof began === 'object' && last !== undefined;
  const seconds = isKnown ? Math.max(0, Date.parse(last.time) - Date.parse(began.time)) / 1000 : 0;
  using writer = new EventWriter(events);
  writer.dropTornLine();
  if (last?.type !== 'saved') writer.write({ type: 'saved', folder: conceal(final) });
  writer.write({ type: 'end', steps, seconds });
  return { steps, evaluations, stopped };
}

/**
 * Cuts events.jsonl at `bytes`, the size that the checkpoint of a step remembers; what follows is appended to
 * superseded.jsonl first. A file that somebody has cut meanwhile is cut where later steps begin. Returns the bytes that
 * it lacks, 0 as long as nobody has cut it. Errors: UserError.
 */
export async function supersedeEvents(
  { events, superseded }: RunFolder,
  { bytes, step }: { bytes: number; step: number },
): Promise<number> {
  const size = fileSize(events);
  if (size === 0) return bytes;
  const source = await open(events);
  try {
    const isWhole = bytes === 0 || (size >= bytes && lineEnd(source.fd, bytes) === bytes);
    const end = isWhole ? bytes : endOfStep(source.fd, size, step);
    if (size > end) {
      await appendTail(source.fd, end, size, superseded);
      // A new file, so that who follows the old one sees that it was replaced.
      await writeFileAtomic(events, async (handle) => {
        for (const piece of pieces(source.fd, 0, end)) await writeFully(handle, piece);
      });
    }
    return bytes - end;
  } catch (error) {
    throw writeError(events, error);
  } finally {
    await source.close();
  }
}

/** The bytes of events up to a step: those before the first line of a later one, or before what is no event. */
function endOfStep(source: number, size: number, step: number): number {
  let end = 0;
  // A line that is not whole yet.
  let begun: Uint8Array[] = [];
  for (const piece of pieces(source, 0, size)) {
    let from = 0;
    for (let feed = piece.indexOf(10); feed >= 0; feed = piece.indexOf(10, from)) {
      const line = Buffer.concat([...begun, piece.subarray(from, feed)]);
      const event = decodeLine(line.toString());
      if (typeof event === 'string' || ('step' in event && event.step > step)) return end;
      end += line.length + 1;
      [from, begun] = [feed + 1, []];
    }
    begun.push(piece.slice(from));
  }
  return end;
}

async function appendTail(source: number, begin: number, end: number, path: string): Promise<void> {
  const handle = await openNew(path, 'a');
  try {
    let last = 10;
    for (const piece of pieces(source, begin, end)) {
      await writeFully(handle, piece);
      last = piece.at(-1)!;
    }
    // A line that was cut off is not to be taken for the beginning of the next one.
    if (last !== 10) await writeFully(handle, Buffer.from('\n'));
    await handle.sync();
  } finally {
    await handle.close();
  }
  // The new file's name has to be on the disk before what it holds is cut from the other one.
  await syncFolder(dirname(path));
}
