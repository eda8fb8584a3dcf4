/** JSON Lines: one JSON value a line, UTF-8, optionally gzipped. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { FormatError, UserError, unreadable } from '../errors.js';
import { writeFileAtomic, writeFully } from './atomic.js';
import { exactJson, parseExactJson } from './exact-json.js';
import { jsonErrorIndex } from './json-text.js';
import { createReadStream, open } from './regular-file.js';

/** A value of a JSONL file and its line, counted from 1. */
export interface JsonLine {
  line: number;
  value: unknown;
}

/** Bytes of a line; a row of data has a ten-thousandth, and a longer one may not fit a string. */
const longestLine = 1 << 26;
/** Gzip can pack a thousand bytes into one; no rows are so alike. Where so many bytes have come of each, it stops. */
const mostRatio = 500;
const freeBytes = 1 << 23;

/**
 * The values of a JSONL file in order. A file that begins as gzip is unpacked, whatever its name. Lines end at "\n"
 * only: real texts hold U+2028 and U+0085. A byte order mark is tolerated, blank lines are skipped. With `exactNumbers`
 * values are those of `parseExactJson`. `onRead` hears how many bytes of the file were read.
 *
 * Errors: UserError for a file that cannot be read; FormatError with line and column (in UTF-16 units, from 1) for a
 * line that is not JSON or not UTF-8 (with `skipBroken`, such lines are skipped instead, as a write that was cut short
 * leaves them), for a line of more than 64 MiB, and for a gzip stream that is broken, or that unpacks to more than 500
 * times its bytes. Messages never quote the file.
 */
export async function* readJsonl(
  file: string,
  {
    skipBroken = false,
    exactNumbers = false,
    onRead,
  }: {
    skipBroken?: boolean | undefined;
    exactNumbers?: boolean | undefined;
    onRead?: ((bytes: number) => void) | undefined;
  } = {},
): AsyncGenerator<JsonLine> {
  const parse = exactNumbers ? parseExactJson : JSON.parse;
  const isGzip = await beginsAsGzip(file);
  let line = 0;
  try {
    for await (const lines of splitLines(isGzip ? gunzipped(file, onRead) : pieces(file, onRead))) {
      for (const bytes of lines) {
        if (typeof bytes === 'number') {
          line += bytes;
          continue;
        }
        line++;
        let value: unknown;
        try {
          const text = decodeUtf8(bytes, line === 1, { file, line });
          if (/^[ \t\r]*$/.test(text)) continue;
          value = parseLine(text, parse, { file, line });
        } catch (error) {
          if (skipBroken && error instanceof FormatError) continue;
          throw error;
        }
        yield { line, value };
      }
    }
  } catch (cause) {
    if (cause instanceof ExcessError) throw new FormatError(cause.message, { file, where: String(line + 1), cause });
    throw brokenFile(cause, { file, line: line + 1 });
  }
}

/**
 * The first character of a text, gzipped or not, that is no white space nor a byte order mark; '' where there is none.
 * Errors: those of {@link readJsonl}.
 */
export async function firstCharacter(file: string): Promise<string> {
  const isGzip = await beginsAsGzip(file);
  try {
    for await (const chunk of isGzip ? gunzipped(file) : createReadStream(file)) {
      const found = /[^ \t\r\n\u00ef\u00bb\u00bf]/.exec((chunk as Buffer).toString('latin1'));
      if (found) return found[0];
    }
  } catch (cause) {
    throw brokenFile(cause, { file, line: 1 });
  }
  return '';
}

/**
 * Writes values as a JSONL file that is whole or absent, gzipped if its name ends in `.gz`; numbers as `exactJson`
 * does. Errors: UserError when it cannot be written; errors of the values' source.
 */
export async function writeJsonl(path: string, values: Iterable<unknown> | AsyncIterable<unknown>): Promise<void> {
  await writeFileAtomic(path, async (handle) => {
    const write = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) await writeFully(handle, chunk);
    };
    if (path.endsWith('.gz')) await pipeline(Readable.from(encodeLines(values)), createGzip(), write);
    else await write(encodeLines(values));
  });
}

async function* encodeLines(values: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  let lines = '';
  for await (const value of values) {
    lines += `${exactJson(value)}\n`;
    if (lines.length < 1 << 16) continue;
    yield Buffer.from(lines);
    lines = '';
  }
  if (lines !== '') yield Buffer.from(lines);
}

async function beginsAsGzip(file: string): Promise<boolean> {
  const start = await firstBytes(file);
  if (start.toString('latin1') === 'PAR1') {
    throw new FormatError('a Parquet file: its name has to end in .parquet', { file });
  }
  return start[0] === 0x1f && start[1] === 0x8b;
}

async function firstBytes(file: string): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw notRead(file, cause);
  }
}

/** A file that is larger, or unpacks to more, than rows can be. */
class ExcessError extends Error {}

/** The bytes of a file, in pieces. */
async function* pieces(file: string, onRead?: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    yield chunk;
    onRead?.(chunk.length);
  }
}

async function* gunzipped(file: string, onRead?: (bytes: number) => void): AsyncGenerator<Buffer> {
  const source = createReadStream(file);
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  gunzip.on('close', () => source.destroy());
  let [bytes, packedBytes] = [0, 0];
  for await (const chunk of source.pipe(gunzip) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > freeBytes && bytes > mostRatio * gunzip.bytesWritten) {
      const packed = gunzip.bytesWritten;
      throw new ExcessError(
        `the gzip stream unpacks ${packed} bytes to more than ${bytes}: no rows are packed so well`,
      );
    }
    yield chunk;
    onRead?.(gunzip.bytesWritten - packedBytes);
    packedBytes = gunzip.bytesWritten;
  }
}

/**
 * The bytes between line feeds, as many as there are together, or how many empty lines there are in a row, which can be
 * millions; nothing after a line feed at the end.
 */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<(Buffer | number)[]> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    const lines: (Buffer | number)[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      if (pendingBytes > 0) {
        lines.push(Buffer.concat([...pending, chunk.subarray(start, end)]));
        [pending, pendingBytes] = [[], 0];
      } else if (end > start) lines.push(chunk.subarray(start, end));
      else end = start - 1;
      const next = end + 1;
      for (start = next; chunk[start] === 10; ) start++;
      if (start > next) lines.push(start - next);
    }
    if (lines.length > 0) yield lines;
    if (start === chunk.length) continue;
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > longestLine) throw new ExcessError(`a line of more than ${longestLine} bytes: is it JSONL?`);
  }
  if (pendingBytes > 0) yield [Buffer.concat(pending)];
}

interface Place {
  file: string;
  line: number;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Buffer, isFirst: boolean, { file, line }: Place): string {
  const hasMark = isFirst && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  try {
    return utf8.decode(hasMark ? bytes.subarray(3) : bytes);
  } catch (cause) {
    throw new FormatError('not UTF-8: save the file in that encoding', { file, where: String(line), cause });
  }
}

function parseLine(text: string, parse: (text: string) => unknown, { file, line }: Place): unknown {
  try {
    return parse(text);
  } catch {
    const index = jsonErrorIndex(text) ?? 0;
    const what = index >= text.trimEnd().length ? 'the line ends too early' : 'unexpected character';
    throw new FormatError(`not JSON (${what}): a JSONL file has one whole JSON value a line`, {
      file,
      where: `${line}:${index + 1}`,
    });
  }
}

/** Why a stream of a file ended too early. */
function brokenFile(cause: unknown, { file, line }: Place): unknown {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (cause instanceof UserError || code === undefined) return cause;
  if (!code.startsWith('Z_')) return notRead(file, cause);
  const what = code === 'Z_BUF_ERROR' ? 'the gzip stream is cut short' : `the gzip stream is broken (${message})`;
  return new FormatError(`${what}: fetch or make the file again`, { file, where: String(line), cause });
}

const notRead = (file: string, cause: unknown) =>
  new UserError(`${unreadable(file, cause)}: name a JSONL file (.jsonl or .jsonl.gz)`, { cause });
