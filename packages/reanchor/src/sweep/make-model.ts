/** The stages that make a model from nothing: text, a tokenizer learnt from it, a network with random weights. */
import { basename, join } from 'node:path';
import { FormatError, UserError } from '../errors.js';
import { isRecord, readJsonl, writeFileAtomic, writeFolderAtomic, writeJsonl } from '../formats/index.js';
import { initModel } from '../models/init.js';
import { saveModel } from '../models/save.js';
import { textHere } from '../recipe/index.js';
import { trainBpe } from '../text/index.js';
import { loadPassages } from './corpus.js';
import { type CorpusJob, type InitJob, outputOf } from './jobs.js';

/** The token that begins a text, and ends what a model writes. */
const endOfText = '<|endoftext|>';

/** Writes `texts.jsonl` in a new folder: rows with `text`. Errors: UserError where the package is not installed. */
export async function corpusStage(job: CorpusJob): Promise<void> {
  const passages = await loadPassages();
  const rows = passages.map((passage) => ({ text: endOfText + passage }));
  await writeFolderAtomic(job.out, (folder) => writeJsonl(join(folder, basename(outputOf(job))), rows));
}

/** Writes a model's folder: a byte-level BPE tokenizer, and float32 weights. Errors: UserError, FormatError. */
export async function initStage({ text, rows, vocabularySize, config, seed, out }: InitJob): Promise<void> {
  const texts = await textsOf(textHere('data.train', text), rows);
  const tokenizer = trainBpe(texts, { vocabSize: vocabularySize, endOfText });
  const decided = { vocab_size: vocabularySize, bos_token_id: 0, eos_token_id: 0, torch_dtype: 'float32' };
  for (const key of Object.keys(decided)) {
    if (key in config) throw new UserError(`init.config.${key}: the tokenizer decides it; leave it out`);
  }
  using model = initModel({ ...config, ...decided }, { seed, dtype: 'float32' });
  await writeFolderAtomic(out, async (folder) => {
    await writeFileAtomic(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer.definition));
    await writeFileAtomic(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizer.config));
    await saveModel(model, folder);
  });
}

/** The texts of a file's first rows, or of all. The token between texts is none that is learnt. */
async function textsOf(file: string, rows = Number.POSITIVE_INFINITY): Promise<string[]> {
  const texts: string[] = [];
  for await (const { line, value } of readJsonl(file)) {
    const text = isRecord(value) ? value.text : undefined;
    if (typeof text !== 'string')
      throw new FormatError('no text: a tokenizer is learnt from rows with text', { file, where: String(line) });
    texts.push(text.replaceAll(endOfText, ''));
    if (texts.length === rows) break;
  }
  if (texts.length === 0) throw new FormatError('no rows: a tokenizer is learnt from text', { file });
  return texts;
}
