/** Data sets that are known by name: the files of their splits, and how many rows were published in them. */

export type Split = 'train' | 'validation';

/** A number of rows; `toHundred` is one that is known to three digits only. */
export type RowCount = { exactly: number } | { toHundred: number };

interface PublishedSplit {
  /** The paths of its files in the repository. */
  files: RegExp;
  rows: RowCount | undefined;
  /** What a run has to say about the rows, to follow "... rows are used: ". */
  note?: string;
}

export interface Published {
  /** Its name on the Hugging Face Hub. */
  id: string;
  splits: Record<Split, PublishedSplit>;
  /** Parts of it that are data sets of their own, by the name after a colon; for each, what a run has to say. */
  parts?: Record<string, Record<Split, string>>;
}

const tldrNote = (rows: string) =>
  `the paper uses ${rows} of these pairs and does not publish its filter, so that every pair about a Reddit post is used here`;
const tldrSftNote = (rows: string) =>
  `the paper has ${rows}, without duplicates and uniquely preferred, and does not publish how; here a summary of a post is used once, if it is preferred in every comparison that it is in`;

// The numbers are those of the paper's reproducibility card; of TL;DR, those of the published files as they are.
const published: readonly Published[] = [
  {
    id: 'Anthropic/hh-rlhf',
    splits: {
      train: {
        files: /^(harmless-base|helpful-(base|online|rejection-sampled))\/train\.jsonl(\.gz)?$/,
        rows: { exactly: 160_800 },
      },
      validation: {
        files: /^(harmless-base|helpful-(base|online|rejection-sampled))\/test\.jsonl(\.gz)?$/,
        rows: { exactly: 8552 },
      },
    },
  },
  {
    id: 'UCL-DARK/openai-tldr-summarisation-preferences',
    splits: {
      train: {
        files: /(^|[/_-])train[^/]*\.(jsonl(\.gz)?|parquet)$/,
        rows: { toHundred: 92_900 },
        note: tldrNote('73,396'),
      },
      validation: {
        files: /(^|[/_-])val(id|idation)?(?![a-z])[^/]*\.(jsonl(\.gz)?|parquet)$/,
        rows: { toHundred: 33_100 },
        note: tldrNote('21,198'),
      },
    },
    parts: { sft: { train: tldrSftNote('41,947'), validation: tldrSftNote('11,941') } },
  },
  {
    id: 'HuggingFaceH4/ultrachat_200k',
    splits: {
      train: { files: /(^|\/)train_sft[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: { exactly: 207_865 } },
      validation: { files: /(^|\/)test_sft[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: { exactly: 23_110 } },
    },
  },
  {
    id: 'HuggingFaceH4/ultrafeedback_binarized',
    splits: {
      train: { files: /(^|\/)train_prefs[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: { exactly: 61_135 } },
      validation: { files: /(^|\/)test_prefs[^/]*\.(jsonl(\.gz)?|parquet)$/, rows: { exactly: 2000 } },
    },
  },
  {
    id: 'princeton-nlp/llama3-ultrafeedback',
    splits: {
      train: { files: /(^|\/)train[^/]*\.(jsonl?(\.gz)?|parquet)$/, rows: undefined },
      validation: { files: /(^|\/)test[^/]*\.(jsonl?(\.gz)?|parquet)$/, rows: undefined },
    },
  },
];

/** The set of a name, whose letter case does not count. */
export const publishedSet = (id: string) => published.find((set) => set.id.toLowerCase() === id.toLowerCase());

/** What is wrong with a number of rows that were read, or undefined. */
export function countProblem(found: number, rows: RowCount): string | undefined {
  const [is, wanted] = 'exactly' in rows ? [found, rows.exactly] : [Math.round(found / 100) * 100, rows.toHundred];
  if (is === wanted) return undefined;
  const number = (value: number) => value.toLocaleString('en-US');
  return `${number(found)} rows were read, and ${'exactly' in rows ? '' : 'about '}${number(wanted)} are published`;
}
