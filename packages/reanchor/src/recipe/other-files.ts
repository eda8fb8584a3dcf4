/** Files that are given for a recipe and are none: what they hold, in words, with nothing of their content. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { RecipeError } from '../errors.js';
import { isRecord, openSync } from '../formats/index.js';
import { documentation } from '../version.js';
import { topLevelKeys } from './keys.js';
import { nearest } from './nearest.js';

/** What a file holds, and what to do with such a one. */
interface Content {
  what: string;
  next: string;
}

const docs = `${documentation('reference/recipe.md')} has its keys`;
const rows: Content = { what: 'rows of data', next: 'its key data.train names such a file' };
const record: Content = { what: 'the record of a run', next: 'that of the run stands under the key recipe' };

/** Of a file that is longer than any recipe, so many bytes say what it is. */
const mostBytes = 1 << 18;

/** The text of a recipe file, or the beginning of a text that is none. Errors: NotReadable, the system's. */
export function readRecipeText(path: string): string {
  const file = openSync(path);
  try {
    const buffer = Buffer.alloc(Math.min(mostBytes, Math.max(1, fstatSync(file).size)));
    let read = 0;
    for (let more = -1; more !== 0 && read < buffer.length; read += more) {
      more = readSync(file, buffer, read, buffer.length - read, null);
    }
    return buffer.toString('utf8', 0, read);
  } finally {
    closeSync(file);
  }
}

/** Errors: RecipeError for a file that its name or its first lines show to be no recipe. */
export function refuseOtherFile(file: string, text: string): void {
  const [first = '', second = ''] = text.split('\n').filter((line) => line.trim() !== '');
  const isRow = (line: string) => /^\s*[{[]\s*\S/.test(line);
  const isData = /\.(jsonl|ndjson|csv|tsv|parquet|arrow)(\.gz)?$/i.test(file) || (isRow(first) && isRow(second));
  if (isData) throw noRecipe(file, rows);
  if (/[\0\ufffd]/.test(text.slice(0, 4096))) throw noRecipe(file, { what: 'bytes that are no text', next: docs });
}

/** Errors: RecipeError for a text that is not YAML and has no key of a recipe anywhere. */
export function refuseOtherText(file: string, text: string): void {
  const key = new RegExp(`(^|[\\s{,])["']?(${topLevelKeys().join('|')})["']?\\s*[:=]`);
  if (!key.test(text)) throw noRecipe(file, { what: 'a text that is not YAML', next: docs });
}

/** Errors: RecipeError for a value of YAML that is no map of keys, or has no key that looks like one of a recipe. */
export function refuseOtherValue(file: string, value: unknown): void {
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) throw noRecipe(file, value.some(isRecord) ? rows : { what: 'a list', next: docs });
  if (!isRecord(value)) throw noRecipe(file, { what: 'no line of the form key: value', next: docs });
  if (isRecord(value.recipe) && 'versions' in value) throw noRecipe(file, record);
  const keys = Object.keys(value);
  const known = topLevelKeys();
  const isRecipe = keys.length === 0 || keys.some((key) => nearest(key.split(':')[0]!, known) !== undefined);
  if (!isRecipe) throw noRecipe(file, { what: 'keys of which none is one of a recipe', next: docs });
}

function noRecipe(file: string, { what, next }: Content): RecipeError {
  const sentence = `${file} holds ${what} and is no recipe: a recipe is a YAML file with at least model, method and data; ${next}`;
  return new RecipeError(file, [sentence], sentence);
}
