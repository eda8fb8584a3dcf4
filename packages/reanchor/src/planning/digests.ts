/** Digests of what a run reads, by which a resumed run knows that it is still the same. */
import { createHash, type Hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { open, readFile } from '../formats/index.js';
import type { ChatTemplate } from '../text/index.js';

/** A weight file is looked at in so many places, of so many bytes each; a smaller one as a whole. */
const [samples, sampleBytes] = [64, 1 << 16];

/**
 * A digest of a model folder: of config.json (of an adapter adapter_config.json), and of every weight file its size,
 * its first and last bytes and 62 pieces in between. Training or converting a model changes all of its bytes; that a
 * few were altered by hand may not be seen.
 */
export async function modelDigest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const configs = ['config.json', 'adapter_config.json'].map((name) => join(folder, name));
  hash.update(await readFile(configs.find((file) => existsSync(file)) ?? configs[0]!));
  const files = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
  for (const name of files) {
    hash.update(name);
    const handle = await open(join(folder, name));
    try {
      await hashSamples(hash, handle);
    } finally {
      await handle.close();
    }
  }
  return hash.digest('hex');
}

async function hashSamples(hash: Hash, handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  hash.update(String(size));
  const buffer = Buffer.alloc(sampleBytes);
  const isSmall = size <= samples * sampleBytes;
  const count = isSmall ? Math.ceil(size / sampleBytes) : samples;
  const stride = isSmall ? sampleBytes : (size - sampleBytes) / (samples - 1);
  for (let i = 0; i < count; i++) {
    const { bytesRead } = await handle.read(buffer, 0, sampleBytes, Math.floor(i * stride));
    hash.update(buffer.subarray(0, bytesRead));
  }
}

/**
 * A digest of rows as they are trained on: all token ids, labels and lines, in their order; file names do not count.
 */
export function rowsDigest(rows: Iterable<object>): string {
  const hash = createHash('sha256');
  for (const row of rows) {
    for (const [key, value] of Object.entries(row)) {
      if (key === 'file' || value === undefined) continue;
      if (!ArrayBuffer.isView(value)) hash.update(`${key} ${JSON.stringify(value)} `);
      else {
        hash.update(`${key} ${value.byteLength} `);
        hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      }
    }
  }
  return hash.digest('hex');
}

/** How many of `rows` have the token ids of one of `others`; places, labels and what is scored do not count. */
export function sharedRows(rows: readonly object[], others: Iterable<object>): number {
  if (rows.length === 0) return 0;
  const digests = rows.map(idsDigest);
  const wanted = new Set(digests);
  const found = new Set<string>();
  for (const row of others) {
    const digest = idsDigest(row);
    if (wanted.has(digest)) found.add(digest);
  }
  return digests.filter((digest) => found.has(digest)).length;
}

function idsDigest(row: object): string {
  const hash = createHash('sha1');
  for (const ids of Object.values(row)) {
    if (!(ids instanceof Int32Array)) continue;
    hash.update(`${ids.length} `).update(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
  }
  return hash.digest('base64');
}

/** What a run reads besides its models' weights. */
export interface Sources {
  models: Readonly<Record<string, string>>;
  rows: Iterable<object>;
  validation: readonly object[];
  /** The chat template that rows go through, if one does. */
  template: Pick<ChatTemplate, 'source'> | undefined;
}

/** The key of the chat template's digest, of which the rows' token ids are a consequence. */
const templateKey = 'data.chatTemplate';
const rowKeys = ['data.train', 'data.validation'];

/** What the run reads, as digests by the keys of the recipe. */
export function sourceDigests({ models, rows, validation, template }: Sources): Record<string, string> {
  return {
    ...models,
    'data.train': rowsDigest(rows),
    'data.validation': rowsDigest(validation),
    ...templateDigest(template),
  };
}

const templateDigest = (template: Sources['template']): Record<string, string> =>
  template ? { [templateKey]: createHash('sha256').update(template.source).digest('hex') } : {};

/**
 * Makes sure that a run goes on with the chat template that it began with, which is to be known before rows are made
 * tokens of. Errors: those of {@link requireSameSources}.
 */
export function requireSameTemplate(
  { [templateKey]: before }: Readonly<Record<string, string>>,
  template: Sources['template'],
  folder: string,
): void {
  if (before !== undefined) requireSameSources({ [templateKey]: before }, templateDigest(template), folder);
}

/** Makes sure that a run goes on with what it began with. Errors: UserError that names what has changed. */
export function requireSameSources(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
  folder: string,
): void {
  // What an older version did not remember is not known.
  const different = Object.keys(before).filter((name) => before[name] !== now[name]);
  if (different.length === 0) return;
  const isTemplate = different.includes(templateKey);
  const changed = different.filter((name) => !isTemplate || !rowKeys.includes(name));
  const named = changed.filter((name) => name !== templateKey);
  const what = [
    ...(isTemplate ? ['the chat template'] : []),
    ...(named.length > 0 ? [`what ${named.join(' and ')} name${named.length === 1 ? 's' : ''}`] : []),
  ];
  const verb = what.length === 1 ? 'has' : 'have';
  throw new UserError(
    `the run in ${folder} cannot go on: ${what.join(' and ')} ${verb} other content than when the run began; ` +
      'put the old files back, or start a new run in another folder',
  );
}
