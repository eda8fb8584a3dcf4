/** Where rows come from: files, folders of files, and published data sets by name. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { type RawRecord, readRecords } from '../formats/index.js';

/** The files of a source, in order. */
export interface Source {
  name: string;
  files: string[];
  /** What is worth a warning, in sentences. */
  notes: string[];
}

/** A data set as it is published: the files of its splits, and how many rows they have. */
interface Published {
  /** Its name on the Hugging Face Hub. */
  id: string;
  splits: Record<'train' | 'validation', { files: RegExp; rows: number | undefined }>;
  note?: string;
}

const published: readonly Published[] = [
  {
    id: 'Anthropic/hh-rlhf',
    splits: {
      train: { files: /^(harmless-base|helpful-(base|online|rejection-sampled))\/train\.jsonl(\.gz)?$/, rows: 160_800 },
      validation: {
        files: /^(harmless-base|helpful-(base|online|rejection-sampled))\/test\.jsonl(\.gz)?$/,
        rows: 8552,
      },
    },
  },
  {
    id: 'UCL-DARK/openai-tldr-summarisation-preferences',
    splits: {
      train: { files: /(^|[/_-])train[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: undefined },
      validation: { files: /(^|[/_-])(validation|valid)[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: undefined },
    },
    note: 'the paper trains on 73,396 of these pairs and evaluates on 21,198; its filter is not published, so all rows are used here',
  },
  {
    id: 'HuggingFaceH4/ultrachat_200k',
    splits: {
      train: { files: /(^|\/)train_sft[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: 207_865 },
      validation: { files: /(^|\/)test_sft[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: 23_110 },
    },
  },
  {
    id: 'HuggingFaceH4/ultrafeedback_binarized',
    splits: {
      train: { files: /(^|\/)train_prefs[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: 61_135 },
      validation: { files: /(^|\/)test_prefs[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: 2000 },
    },
  },
  {
    id: 'princeton-nlp/llama3-ultrafeedback',
    splits: {
      train: { files: /(^|\/)train[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: undefined },
      validation: { files: /(^|\/)test[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: undefined },
    },
  },
];

/** Rows that a split of a published data set has, where that is known; for counting them once they are read. */
export function publishedRows(name: string, split: 'train' | 'validation'): number | undefined {
  return publishedSet(name)?.splits[split].rows;
}

const publishedSet = (name: string) => published.find(({ id }) => id.toLowerCase() === name.toLowerCase());

/**
 * The files that names stand for: a file; a folder, all data files below it in the order of their names; a published
 * data set, the files of its split in a folder of its name below REANCHOR_SOURCES. Errors: UserError for a name that is
 * none of these, saying which there are.
 */
export async function resolveSources(names: readonly string[], split: 'train' | 'validation'): Promise<Source[]> {
  return names.map((name) => {
    if (existsSync(name)) return { name, files: statSync(name).isDirectory() ? filesBelow(name) : [name], notes: [] };
    const set = publishedSet(name);
    if (!set) {
      if (!/^[\w.-]+\/[\w.-]+$/.test(name)) return { name, files: [name], notes: [] };
      throw new UserError(
        `${name} is neither a file nor a folder, nor a data set known by name: ${published.map(({ id }) => id).join(', ')} are`,
      );
    }
    return { name, files: publishedFiles(set, split), notes: set.note ? [`${set.id}: ${set.note}`] : [] };
  });
}

/** The records of files of any supported form, one file after the other. Errors: those of `readRecords`. */
export async function* sourceRecords(files: readonly string[]): AsyncGenerator<RawRecord> {
  for (const file of files) yield* readRecords(file);
}

function publishedFiles({ id, splits }: Published, split: 'train' | 'validation'): string[] {
  const root = process.env.REANCHOR_SOURCES;
  if (!root) {
    throw new UserError(
      `${id}: set REANCHOR_SOURCES to a folder that holds it as ${id}/..., with the files that are published; they are not downloaded`,
    );
  }
  const folder = join(root, id);
  if (!existsSync(folder)) throw new UserError(`${id}: ${folder} does not exist; it has to hold the published files`);
  const files = filesBelow(folder).filter((file) => splits[split].files.test(file.slice(folder.length + 1)));
  if (files.length === 0) {
    throw new UserError(`${id}: no file in ${folder} is one of its ${split} split (${splits[split].files.source})`);
  }
  return files;
}

function filesBelow(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(jsonl|json|parquet)(\.gz)?$/i.test(name))
    .sort()
    .map((name) => join(folder, name));
  if (files.length === 0) throw new UserError(`${folder} holds no data file: JSONL, JSON and Parquet are read`);
  return files;
}
