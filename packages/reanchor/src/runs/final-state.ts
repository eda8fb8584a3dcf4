/** Whether the model that a run leaves, `final/`, is whole. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FormatError, UserError } from '../errors.js';
import { createReadStream, isRecord, openSafetensors, openWeights, readJson } from '../formats/index.js';
import { decodeLine } from './events.js';
import type { RunFolder } from './folder.js';

/** The bytes of each file in a folder and those below it, by path. Errors: the system's. */
export function fileSizes(folder: string): Record<string, number> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    names.flatMap((name) => {
      const found = statSync(join(folder, name));
      return found.isFile() ? [[name, found.size]] : [];
    }),
  );
}

/**
 * `absent` where a run has not left its model yet: there is no `final/`, or an empty folder. `whole` where its files
 * are there: config.json (of an adapter adapter_config.json), the tokenizer, weights as long as their headers say, and
 * all that the run says it has saved. Otherwise what is wrong with it.
 */
export async function finalState(folder: RunFolder): Promise<'absent' | 'whole' | { flaw: string }> {
  const { final } = folder;
  if (!existsSync(final)) return 'absent';
  try {
    if (readdirSync(final).length === 0) return 'absent';
    const isAdapter = existsSync(join(final, 'adapter_config.json'));
    const config = isAdapter ? 'adapter_config.json' : 'config.json';
    for (const name of [config, 'tokenizer.json']) await requireObject(join(final, name));
    await (isAdapter ? openSafetensors(join(final, 'adapter_model.safetensors')) : openWeights(final));
    for (const [name, bytes] of Object.entries(await savedFiles(folder))) {
      const there = statSync(join(final, name), { throwIfNoEntry: false });
      // People write into model cards and settings.
      if (there === undefined || (there.size === 0 && bytes > 0)) {
        return { flaw: `${join(final, name)} is ${there ? 'empty' : 'missing'}` };
      }
    }
    return 'whole';
  } catch (error) {
    if (error instanceof UserError || 'syscall' in (error as object)) return { flaw: (error as Error).message };
    throw error;
  }
}

async function requireObject(file: string): Promise<void> {
  if (!isRecord(await readJson(file))) throw new FormatError('not a JSON object', { file });
}

/** The files of `final/` as the run's events tell them; none where they do not. */
async function savedFiles({ events }: RunFolder): Promise<Record<string, number>> {
  let files: Record<string, number> = {};
  if (!existsSync(events)) return files;
  for await (const line of createInterface({ input: createReadStream(events) })) {
    const event = line.includes('"type":"saved"') ? decodeLine(line) : undefined;
    if (typeof event === 'object' && event.type === 'saved') files = event.files ?? {};
  }
  return files;
}
