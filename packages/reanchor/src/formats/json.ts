/** Whole files of text and JSON, gzipped or not. */
import { gunzipSync } from 'node:zlib';
import { FormatError, NotReadable, UserError, unreadable } from '../errors.js';
import { parseExactJson } from './exact-json.js';
import { mostWholeBytes as maxBytes, readFile } from './regular-file.js';

/** What helps where a file is none, or too large: JSONL is read row by row. */
const next = 'make it a JSONL file, one row a line';

/** The text of a file; what begins as gzip is unpacked. Errors: UserError. */
export async function readText(file: string): Promise<string> {
  try {
    const bytes = await readFile(file);
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    const text = (isGzip ? gunzipSync(bytes, { maxOutputLength: maxBytes }) : bytes).toString('utf8');
    return text.startsWith('\ufeff') ? text.slice(1) : text;
  } catch (cause) {
    if (cause instanceof NotReadable) throw new UserError(`${cause.message}: ${next}`, { cause });
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `unpacks to more than ${maxBytes} bytes: ${next}`;
      throw new FormatError(message, { file, cause });
    }
    throw new UserError(unreadable(file, cause), { cause });
  }
}

/**
 * The value of a JSON file; with `exactNumbers` as `parseExactJson` reads it. Errors: UserError for a file that cannot
 * be read, FormatError for one that is not JSON.
 */
export async function readJson(
  file: string,
  { exactNumbers = false }: { exactNumbers?: boolean | undefined } = {},
): Promise<unknown> {
  const text = await readText(file);
  try {
    return exactNumbers ? parseExactJson(text) : JSON.parse(text);
  } catch (cause) {
    throw new FormatError('not JSON: fetch or make the file again', { file, cause });
  }
}
