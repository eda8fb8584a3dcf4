/** Whole files of text and JSON, gzipped or not. */
import { readFile, stat } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { FormatError, UserError, unreadable } from '../errors.js';
import { parseExactJson } from './exact-json.js';

/** A file that is read as a whole may have so many bytes; a larger one has to become JSONL, which is read row by row. */
const maxBytes = 256 * 2 ** 20;

/** The text of a file; what begins as gzip is unpacked. Errors: UserError. */
export async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > maxBytes) {
      throw new UserError(
        `${file} has ${size} bytes; a file that is read as a whole may have ${maxBytes}: make it JSONL, one row a line`,
      );
    }
    const bytes = await readFile(file);
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    const text = (isGzip ? gunzipSync(bytes, { maxOutputLength: maxBytes }) : bytes).toString('utf8');
    return text.startsWith('\ufeff') ? text.slice(1) : text;
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      const message = `unpacks to more than ${maxBytes} bytes: make it JSONL, one row a line`;
      throw new FormatError(message, { file, cause });
    }
    throw new UserError(unreadable(file, cause), { cause });
  }
}

/** The value of a JSON file; with `exactNumbers` as `parseExactJson` reads it. Errors: UserError for a file that cannot be read, FormatError for one that is not JSON. */
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
