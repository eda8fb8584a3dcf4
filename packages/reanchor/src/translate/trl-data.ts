/** From TRL's names of data sets, and those of alignment-handbook, to `data`. */
import { isRecord } from '../formats/index.js';
import type { Draft } from './draft.js';
import type { Trainer } from './trl-defaults.js';
import { placeholder } from './trl-model.js';

/** A source as a recipe names it, with its share. */
interface Source {
  source: string;
  weight: number;
}

/** Sets the rows and how they are cut. */
export function setData(draft: Draft, trainer: Trainer): void {
  const mixture = draft.value('dataset_mixture');
  const mixer = draft.value('dataset_mixer');
  const datasets = draft.value('datasets');
  if (isRecord(mixture)) setMixture(draft, mixture);
  else if (isRecord(mixer)) setMixer(draft, mixer);
  else if (Array.isArray(datasets) && datasets.length > 0) {
    setSources(
      draft,
      datasets.map((one) => sourceOf(draft, 'datasets', one)),
      'datasets',
    );
    setTestSplit(draft, 'test_split_size', draft.value('test_split_size'));
  } else setNamed(draft);
  const length = draft.value('max_length') === null ? undefined : draft.number('max_length');
  draft.set('data.maxLength', length ?? 2 ** 20, 'max_length');
  if (length === undefined)
    draft.remark('max_length', 'nothing is cut: estimates of memory are of rows as long as data.maxLength');
  if (draft.text('truncation_mode') === 'keep_end') draft.set('data.truncate', 'keepEnd', 'truncation_mode');
  if (trainer === 'dpo') draft.settings.set('data.keepIdentical', { value: true, comment: 'as TRL does' });
  if (trainer === 'sft') setScored(draft);
  setTemplate(draft);
  setOrder(draft, trainer);
}

/** One data set of the command: its name, configuration and splits. */
function setNamed(draft: Draft): void {
  const name = draft.text('dataset_name');
  const configuration = draft.text('dataset_config');
  const train = draft.text('dataset_train_split') ?? 'train';
  const test = draft.text('dataset_test_split') ?? 'test';
  const options = ['dataset_name', 'dataset_config', 'dataset_train_split'];
  if (name === undefined) {
    draft.set('data.train', placeholder('pairs.jsonl'));
    draft.miss('data.train', 'the file names no data set that can be read here: put one into the recipe');
    return;
  }
  const isPlain = configuration === undefined && !draft.has('dataset_train_split');
  const [split, rows] = sliced(train);
  draft.set('data.train', isPlain ? name : named(name, configuration, split), ...options);
  if (rows !== undefined) draft.set('data.limit', rows, 'dataset_train_split');
  if (/[[+]/.test(split)) draft.miss('dataset_train_split', `${train}: a part of a split is named by data.limit alone`);
  if ((draft.text('eval_strategy') ?? 'no') === 'no') return;
  draft.set('data.validation', named(name, configuration, sliced(test)[0]), 'dataset_test_split', 'eval_strategy');
}

/** A name with its configuration and split. */
const named = (name: string, configuration: string | undefined, split: string) =>
  `${name}:${configuration === undefined || configuration === 'default' ? '' : `${configuration}/`}${split.replace(/[[+].*$/, '')}`;

/** `train[:100]` as a split and the number of its first rows. */
function sliced(split: string): [split: string, rows: number | undefined] {
  const [, name, rows] = /^([^[\]+]+)\[:(\d+)\]$/.exec(split) ?? [];
  return name === undefined ? [split, undefined] : [name, Number(rows)];
}

/** Whether a path is that of a file with rows. */
const isFile = (path: string) => /\.(jsonl?|ndjson|csv|tsv|parquet)(\.gz)?$/.test(path);

/** A data set of a list, as TRL's `path`, `name`, `split`, or alignment-handbook's `id`, `config`, `split`. */
export function sourceOf(draft: Draft, option: string, given: unknown): Source {
  if (!isRecord(given)) return { source: String(given), weight: 1 };
  const path = String(given.path ?? given.id ?? '');
  const configuration = (given.name ?? given.config) as string | null | undefined;
  const { split, data_files: files, data_dir: folder, fraction, weight } = given;
  if (fraction !== undefined && fraction !== null) {
    draft.miss(
      option,
      `fraction ${fraction} of ${path}: shares of a mixture depend on its numbers of rows; a weight says how often an epoch takes a source`,
    );
  }
  if (folder !== undefined && folder !== null) draft.miss(option, `data_dir of ${path}: name the folder in data.train`);
  const [plain, rows] = sliced(String(split ?? 'train'));
  if (rows !== undefined || /[[+]/.test(plain)) {
    draft.miss(
      option,
      `${split} of ${path}: all rows of the split are taken; data.limit reads the first ones of one source`,
    );
  }
  if (typeof files === 'string') return { source: files, weight: Number(weight ?? 1) };
  if (files !== undefined && files !== null) draft.miss(option, `data_files of ${path}: name the files in data.train`);
  const isPlain = isFile(path) || ((split ?? undefined) === undefined && (configuration ?? undefined) === undefined);
  const source =
    isPlain && path !== '' ? path : named(path || placeholder('pairs.jsonl'), configuration ?? undefined, plain);
  return { source, weight: Number(weight ?? 1) };
}

/** Sets the sources to train on, with their weights where those are not 1. */
export function setSources(draft: Draft, sources: readonly Source[], option: string): void {
  const entries = sources.map(({ source, weight }) => (weight === 1 ? source : { source, weight }));
  if (entries.length === 0) {
    draft.set('data.train', placeholder('pairs.jsonl'));
    draft.miss(option, 'it names no data set: put one into the recipe');
    return;
  }
  const [only] = entries;
  draft.set('data.train', entries.length === 1 && typeof only === 'string' ? only : entries, option);
}

function setTestSplit(draft: Draft, option: string, size: unknown): void {
  const rows = size === null || size === undefined ? 0 : Number(size);
  if (rows === 0) return;
  if (rows >= 1) draft.set('data.validation', Math.round(rows), option);
  else draft.miss(option, `${rows} of the rows are held out by TRL: data.validation takes their number`);
}

function setMixture(draft: Draft, mixture: Record<string, unknown>): void {
  const datasets = Array.isArray(mixture.datasets) ? mixture.datasets : [];
  const sources = datasets.map((one) => sourceOf(draft, 'dataset_mixture', one));
  setSources(draft, sources, 'dataset_mixture');
  setTestSplit(draft, 'dataset_mixture', mixture.test_split_size);
  if (sources.some(({ weight }) => weight !== 1)) {
    draft.remark('dataset_mixture', 'a weight takes the first rows there, once chosen; here other ones in each epoch');
  }
}

function setMixer(draft: Draft, mixer: Record<string, unknown>): void {
  const listed = draft.value('dataset_splits');
  const splits = (Array.isArray(listed) ? listed : ['train', 'test']).map(String);
  const of = (kind: RegExp) =>
    Object.entries(mixer).flatMap(([name, weight]) =>
      splits
        .filter((split) => kind.test(split))
        .map((split) => ({ source: `${name}:${split}`, weight: Number(weight) })),
    );
  setSources(draft, of(/train/), 'dataset_mixer');
  const tests = of(/test/).map(({ source }) => source);
  if (tests.length > 0) draft.set('data.validation', tests.length === 1 ? tests[0] : tests, 'dataset_splits');
}

/** What SFT scores. */
function setScored(draft: Draft): void {
  const completion = draft.value('completion_only_loss');
  if (draft.flag('assistant_only_loss')) draft.set('data.loss', 'assistant', 'assistant_only_loss');
  else if (completion === null || completion === undefined) {
    draft.set('data.loss', 'full', 'completion_only_loss');
    draft.remark(
      'completion_only_loss',
      'left out, TRL scores whole texts and whole chats (full), and of rows with prompt and completion the completion: set data.loss completion for these',
    );
  } else draft.set('data.loss', draft.flag('completion_only_loss') ? 'completion' : 'full', 'completion_only_loss');
}

function setTemplate(draft: Draft): void {
  const path = draft.text('chat_template_path');
  const text = draft.text('chat_template');
  if (path?.endsWith('.jinja')) draft.set('data.chatTemplate', path, 'chat_template_path');
  else if (path) draft.miss('chat_template_path', `${path}: name a .jinja file in data.chatTemplate`);
  else if (text) draft.set('data.chatTemplate', text, 'chat_template');
}

function setOrder(draft: Draft, trainer: Trainer): void {
  const strategy = draft.text('train_sampling_strategy') ?? 'random';
  if (strategy === 'sequential') draft.set('data.shuffle', false, 'train_sampling_strategy');
  const option = draft.flag('group_by_length') ? 'group_by_length' : 'train_sampling_strategy';
  if (strategy === 'group_by_length' || option === 'group_by_length') {
    draft.miss(option, 'rows come in a random order, not by their lengths: nothing is padded here');
  }
  if (trainer === 'kto' && strategy !== 'sequential') {
    draft.remark(
      'train_sampling_strategy',
      "TRL's partners of KTO are those of file order, which another order breaks",
    );
  }
}
