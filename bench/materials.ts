/** What the benchmarks work on: folders of random models, and rows of the data set, made once and kept in a cache. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { initModel, loadPreferenceRows, loadTokenizer, saveModel } from 'reanchor';
import { tokenizePair } from '#reanchor/data/index.js';
import { models, type TrainCase } from './cases.js';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'reanchor', 'bench');
const data = process.env.REANCHOR_DATA ?? new URL('../../shared/data', import.meta.url).pathname;

/** The folder of a model with random weights and the GPT-NeoX tokenizer. */
export async function benchModel(name: keyof typeof models): Promise<string> {
  const folder = join(cache, 'models', name);
  if (existsSync(join(folder, 'config.json'))) return folder;
  requireData();
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'tokenizer.json'),
    gunzipSync(readFileSync(join(data, 'tokenizers/gpt-neox/tokenizer.json.gz'))),
  );
  const token = '<|endoftext|>';
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: token,
      eos_token: token,
      unk_token: token,
    }),
  );
  using model = initModel(models[name], { seed: 1, dtype: 'float32' });
  await saveModel(model, folder);
  return folder;
}

/**
 * A JSONL file with `count` rows of a case's data in its method's form, for both sides in this order: those that both
 * train on. TRL also keeps completions of white space alone, and pairs that are cut to the same.
 */
export async function benchRows(one: TrainCase, count: number): Promise<string> {
  const file = join(cache, 'rows', `${one.data}-${one.method}-${one.rows}-of-${one.maxLength}-${count}.jsonl`);
  if (existsSync(file)) return file;
  requireData();
  mkdirSync(join(cache, 'rows'), { recursive: true });
  const source =
    one.data === 'hh'
      ? { name: 'preference/hh-helpful-base.jsonl.gz', format: 'hh' as const }
      : { name: 'preference/ultrafeedback-1000.jsonl.gz', format: 'explicit' as const };
  const tokenizer = await loadTokenizer(await benchModel(one.model));
  const pairs = (await loadPreferenceRows([join(data, source.name)], { format: source.format }))
    .filter((row) => !('skipped' in tokenizePair(row, tokenizer, { maxLength: one.maxLength })))
    .map(({ prompt, chosen, rejected }) => ({ prompt, chosen, rejected }));
  const rows = pairs.flatMap((pair): object[] => {
    const { prompt, chosen, rejected } = pair;
    if (one.method === 'sft') return [{ prompt, completion: chosen }];
    if (one.method !== 'kto') return [pair];
    return [
      { prompt, completion: chosen, label: true },
      { prompt, completion: rejected, label: false },
    ];
  });
  // A pair's two completions side by side would share their prompt, which KTO's rows do not in general.
  const ordered = one.method === 'kto' ? interleaved(rows, one.rows) : rows;
  if (ordered.length < count) throw new Error(`${source.name} has ${ordered.length} rows, ${count} are needed`);
  writeFileSync(
    file,
    `${ordered
      .slice(0, count)
      .map((row) => JSON.stringify(row))
      .join('\n')}\n`,
  );
  return file;
}

/** Chosen and rejected completions in turn, a rejected one far from the chosen one of its pair. */
function interleaved(rows: readonly object[], batch: number): object[] {
  const chosen = rows.filter((_, i) => i % 2 === 0);
  const rejected = rows.filter((_, i) => i % 2 === 1);
  return chosen.flatMap((row, i) => [row, rejected[(i + batch) % rejected.length]!]);
}

/** A file of the data set. */
export function dataFile(name: string): string {
  requireData();
  return join(data, name);
}

function requireData(): void {
  if (!existsSync(data)) throw new Error(`no data set at ${data}: set REANCHOR_DATA to its folder`);
}
