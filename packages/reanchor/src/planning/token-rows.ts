/** The rows of some sources as tokens: from the cache, or read, made tokens of and kept there. */
import { createHash } from 'node:crypto';
import {
  type DataKind,
  type RowOf,
  readRows,
  type Source,
  type SourceCounts,
  type TokenizeOptions,
} from '../data/index.js';
import { UserError } from '../errors.js';
import { fileSize, requireRecords } from '../formats/index.js';
import type { HubOptions } from '../hub/index.js';
import type { Recipe } from '../recipe/index.js';
import { type Tokenizer, writtenMoments } from '../text/index.js';
import {
  cachedTokens,
  codeDigest,
  isWide,
  RowLayout,
  type Sink,
  type TokenFile,
  Tokenizers,
  type Tokenizing,
  TokenWriter,
  tokensFolder,
  tokensKey,
  usualThreads,
} from '../tokens/index.js';
import { packageVersion } from '../version.js';
import { unlessStopped } from './unless-stopped.js';

/** How far the reading of rows is. */
export interface ReadingProgress {
  /** Rows that are tokens by now. */
  rows: number;
  /** The share of the files' bytes that they are. */
  share: number;
  /** Who makes them, where it is another process. */
  waitsFor?: string | undefined;
}

export interface TokenRowsOptions {
  kind: DataKind;
  tokenizer: Tokenizer;
  tokenize: TokenizeOptions & { now: Date };
  /** Records that are read at most, over all sources. */
  limit: number | undefined;
  data: Pick<Recipe['data'], 'format' | 'checkRows'>;
  hub: HubOptions;
  onProgress?: ((progress: ReadingProgress) => void) | undefined;
  /** Whether rows are kept in the cache. */
  isKept: boolean;
}

/** The rows of one source: the indices of its records, from `start` on. */
export interface SourceRows {
  source: Source;
  start: number;
  end: number;
}

/** What is kept beside the rows. */
interface Facts {
  /** Of each source that was read: its counts, and the records before it and with it. */
  sources: { counts: SourceCounts; start: number; end: number }[];
  notes: string[];
  /** Whether some of the rows are chats. */
  hasChats: boolean;
}

/** The rows of sources, one after the other, and which of them are whose. */
export interface SourceTokens<Kind extends DataKind> {
  file: TokenFile<Kind>;
  sources: SourceRows[];
  notes: string[];
  hasChats: boolean;
}

/** Rows that are read one after the other before others are heard. */
const rowsAtOnce = 256;
/** So many rows are made tokens here before threads are started for it, which takes as long as that. */
const rowsBeforeThreads = 2048;

/**
 * Errors: UserError for a source that has other rows than it should, unless `checkRows` is false; those of `readRows`
 * and `tokenizeRows`; the signal's reason.
 */
export async function tokenRows<Kind extends DataKind>(
  sources: readonly Source[],
  options: TokenRowsOptions & { kind: Kind },
): Promise<SourceTokens<Kind>> {
  const { hub, isKept, onProgress } = options;
  const notes: string[] = [];
  // What a tokenizer that was made of values alone does is not known.
  const folder = isKept && options.tokenizer.origin !== undefined ? tokensFolder() : undefined;
  const files = sources.flatMap((source) => source.files);
  for (const file of files) await requireRecords(file);
  const key = folder === undefined ? '' : await tokensKey(keyValues(sources, options), files, hub.signal);
  const file = await cachedTokens<Kind>({
    folder,
    key,
    make: (sink) => make(sources, sink, options),
    onNote: (note) => notes.push(note),
    onWait: (holder) => onProgress?.({ rows: 0, share: 0, waitsFor: holder }),
    signal: hub.signal,
    clock: hub.clock,
  });
  const facts = file.head.facts as Facts;
  const read = facts.sources.map(({ counts, start, end }, i): SourceRows => {
    const source = sources[i]!;
    source.counts = counts;
    const problem = problemOf(source, options);
    if (problem !== undefined) notes.push(problem);
    return { source, start, end };
  });
  return { file, sources: read, notes: [...facts.notes, ...notes], hasChats: facts.hasChats };
}

/** All that rows follow from, apart from what is in the files. */
function keyValues(sources: readonly Source[], options: TokenRowsOptions): unknown {
  const { kind, tokenizer, tokenize, limit, data } = options;
  const { origin, chatTemplate, toolTemplate, specialTokens, vocabSize } = tokenizer;
  const { chatTemplate: template, now, ...how } = tokenize;
  const written = template ? [template.parts[0], template.parts[1].toolSource] : [chatTemplate, toolTemplate];
  return {
    code: [packageVersion(), codeDigest()],
    ...{ kind, limit, format: data.format, how },
    sources: sources.map(({ name, files, isSft }) => ({ name, files, isSft })),
    tokenizer: [...(origin?.files ?? [])].map(([name, bytes]) => [name, digestOf(bytes)]),
    modelConfig: origin?.modelConfig,
    said: { chatTemplate, toolTemplate, specialTokens, vocabSize },
    template: template?.parts,
    moments: writtenMoments(
      written.filter((source) => source !== undefined),
      now,
    ),
  };
}

async function make<Kind extends DataKind>(
  sources: readonly Source[],
  sink: Sink,
  options: TokenRowsOptions & { kind: Kind },
): Promise<void> {
  const { kind, tokenizer, tokenize, limit, data, hub, onProgress } = options;
  const { signal } = hub;
  const files = sources.flatMap((source) => source.files);
  const writer = new TokenWriter(sink, new RowLayout(kind, isWide(tokenizer), files));
  const facts: Facts = { sources: [], notes: [], hasChats: false };
  // Comparisons that become texts to imitate are read twice.
  const bytes = sources.reduce((sum, { files, isSft }) => sum + (isSft ? 2 : 1) * bytesOf(files), 0);
  let bytesRead = 0;
  const onRead = (more: number) => {
    bytesRead += more;
  };
  let [start, rows] = [0, 0];
  using blocks = new BlocksInOrder<Kind>({ kind, tokenizer, options: tokenize, files }, writer);
  for (const source of sources) {
    const left = limit === undefined ? undefined : limit - start;
    if (left === 0) break;
    const onNote = (note: string) => facts.notes.push(note);
    const read = { format: data.format, limit: left, name: source.name, onNote };
    let end = start;
    let batch: RowOf[Kind][] = [];
    for await (const row of readRows(kind, unstopped(source.records(onRead), signal), read)) {
      end = start + row.index + 1;
      facts.hasChats ||= typeof row.prompt !== 'string';
      batch.push({ ...row, index: start + row.index });
      if (batch.length < rowsAtOnce) continue;
      rows += batch.length;
      await blocks.add(batch);
      batch = [];
      onProgress?.({ rows, share: Math.min(0.999, bytesRead / bytes) });
      await unlessStopped(signal);
    }
    rows += batch.length;
    await blocks.add(batch);
    facts.sources.push({ counts: source.counts, start, end });
    // Sooner than all rows are tokens.
    problemOf(source, options);
    start = end;
  }
  await blocks.end();
  onProgress?.({ rows, share: 1 });
  await writer.end({ kind, isWide: isWide(tokenizer), files, facts });
}

/** Errors: UserError for a source that has other rows than it should, where `checkRows` says so. */
function problemOf(source: Source, { limit, data }: Pick<TokenRowsOptions, 'limit' | 'data'>): string | undefined {
  const problem = limit === undefined ? source.countProblem() : undefined;
  if (problem === undefined || !data.checkRows) return problem;
  throw new UserError(
    `${problem}: fetch its files again, or set data.checkRows to false to use a part of them, or another version`,
  );
}

/** Blocks of rows that are made tokens at the same time, and written in the order in which they were read. */
class BlocksInOrder<Kind extends DataKind> implements Disposable {
  #tokenizers: Tokenizers<Kind>;
  #rows = 0;
  readonly #underWay: { read: number; made: ReturnType<Tokenizers<Kind>['make']> }[] = [];

  constructor(
    private readonly tokenizing: Tokenizing<Kind>,
    private readonly writer: TokenWriter,
  ) {
    this.#tokenizers = new Tokenizers(tokenizing, 0);
  }

  /** Errors: those of `tokenizeRows`, of these rows or of rows before them. */
  async add(rows: readonly RowOf[Kind][]): Promise<void> {
    if (this.#rows >= rowsBeforeThreads && !this.#tokenizers.hasThreads) {
      this.#tokenizers = new Tokenizers(this.tokenizing, usualThreads());
    }
    const made = this.#tokenizers.make({ first: this.#rows, rows });
    // Met when its turn comes.
    made.catch(() => {});
    this.#underWay.push({ read: rows.length, made });
    this.#rows += rows.length;
    while (this.#underWay.length >= this.#tokenizers.most) await this.#writeFirst();
  }

  async end(): Promise<void> {
    while (this.#underWay.length > 0) await this.#writeFirst();
  }

  async #writeFirst(): Promise<void> {
    const { read, made } = this.#underWay.shift()!;
    const { block, said } = await made;
    await this.writer.add(read, block, said);
  }

  [Symbol.dispose](): void {
    this.#tokenizers[Symbol.dispose]();
  }
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const bytesOf = (files: readonly string[]) => files.reduce((sum, file) => sum + fileSize(file), 0);

/** The records of a source, until the signal is aborted. Errors: its reason then. */
async function* unstopped<Item>(items: AsyncIterable<Item>, signal: AbortSignal | undefined): AsyncGenerator<Item> {
  for await (const item of items) {
    signal?.throwIfAborted();
    yield item;
  }
}
