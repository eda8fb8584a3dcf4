import { UsageError } from '../errors.js';
import { type RecipeKey, recipeKey, recipeKeys, rulesOf, unknownKeyMessage } from '../recipe/index.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `explain` as commander gives them. */
export interface ExplainFlags {
  json?: boolean | undefined;
}

/** The page, and the heading in it, that says more of a key, or of all keys of a section; the longest path counts. */
export const pages: Readonly<Record<string, string>> = {
  extends: 'docs/guide/first-run.md',
  model: 'docs/guide/hub.md',
  precision: 'docs/reference/methods.md#precision-precision',
  matmul: 'docs/guide/cpu.md',
  device: 'docs/guide/gpu.md',
  deterministic: 'docs/guide/gpu.md',
  adapter: 'docs/guide/adapters.md',
  quantize: 'docs/guide/adapters.md#a-base-in-four-bits',
  method: 'docs/reference/methods.md',
  loss: 'docs/reference/methods.md',
  reference: 'docs/reference/methods.md#the-moving-reference-reference',
  'reference.maxDivergence': 'docs/guide/choosing.md',
  'reference.average': 'docs/guide/adapters.md#how-the-reference-moves',
  'reference.rank': 'docs/guide/adapters.md#how-the-reference-moves',
  data: 'docs/guide/data.md',
  batch: 'docs/guide/estimate.md',
  'optimizer.moments': 'docs/reference/methods.md#precision-precision',
  evaluate: 'docs/guide/evaluation.md',
  onDivergence: 'docs/reference/checkpoints.md',
  onRunaway: 'docs/guide/choosing.md',
  parallel: 'docs/guide/parallel.md',
  checkpoint: 'docs/reference/checkpoints.md',
  save: 'docs/reference/checkpoints.md',
  log: 'docs/guide/dashboard.md',
  threads: 'docs/guide/cpu.md',
};

/** The page that lists all keys. */
const listPage = 'docs/reference/recipe.md';

/** All that `explain` says of a key. */
interface Explanation extends RecipeKey {
  /** What the key contradicts, or needs, of other keys. */
  rules: readonly string[];
  /** Pages of the documentation that say more. */
  docs: readonly string[];
}

/** `reanchor explain [KEY]`: a key, the keys of a section, or, without one, the keys and sections of a recipe. */
export function explainVerb(path: string | undefined, { json }: ExplainFlags, terminal: Terminal): void {
  const keys = path === undefined ? keysIn('') : [named(path), ...keysIn(path)];
  const explained = keys.map(explanation);
  if (json) {
    const isOne = path !== undefined && !explained[0]!.isSection;
    terminal.result(JSON.stringify(isOne ? explained[0] : explained, null, 2));
    return;
  }
  const first = path === undefined ? undefined : explained[0];
  const inner = first ? explained.slice(1) : explained;
  if (first) for (const line of linesOf(first)) terminal.result(line);
  if (inner.length === 0) return;
  if (first) terminal.result('');
  for (const line of table(inner.map(rowOf), 'left')) terminal.result(line);
  if (!first) terminal.note('reanchor explain KEY says more of one of them');
}

/** The keys directly in a section; '' is the recipe. */
const keysIn = (section: string) =>
  recipeKeys().filter(({ path }) => path.split('.').slice(0, -1).join('.') === section && path !== section);

/** The key of a path. Errors: UsageError with the nearest one. */
function named(path: string): RecipeKey {
  const key = recipeKey(path);
  if (key) return key;
  const ends = recipeKeys().filter((one) => one.path.endsWith(`.${path}`));
  throw new UsageError(
    ends.length === 0
      ? unknownKeyMessage(path.split('.'))
      : `${path}: unknown key; name its section: ${ends.map((one) => one.path).join(' or ')}`,
  );
}

function explanation(key: RecipeKey): Explanation {
  return { ...key, rules: rulesOf(key.path), docs: [...pageOf(key.path), listPage] };
}

function pageOf(path: string): string[] {
  const known = path in pages ? path : path.split('.')[0]!;
  return pages[known] === undefined ? [] : [pages[known]];
}

function linesOf({ path, type, description, isSection, rules, docs, ...key }: Explanation): string[] {
  const facts: [string, string | undefined][] = [
    [isSection ? 'section' : 'allowed', isSection ? undefined : type],
    ['default', defaultText(key)],
    ['with', key.usedWith && `${key.usedWith.key}: ${key.usedWith.values.join(' | ')}`],
    ...rules.map((rule): [string, string] => ['refused', rule]),
    ...docs.map((page): [string, string] => ['more', page]),
  ];
  const rows = facts.flatMap(([name, text]) => (text === undefined ? [] : [[`  ${name}`, text]]));
  return [`${path}: ${description}`, ...table(rows, 'left')];
}

const defaultText = ({
  default: value,
  isRequired,
  usedWith,
}: Pick<RecipeKey, 'default' | 'isRequired' | 'usedWith'>) =>
  value !== undefined
    ? JSON.stringify(value)
    : isRequired
      ? `none: it is required${usedWith ? ' there' : ''}`
      : undefined;

function rowOf({ path, type, description, isSection }: Explanation): string[] {
  return [path, isSection ? 'section' : type.length > 40 ? `${type.slice(0, 37)}...` : type, shortText(description)];
}

/** A description up to its first semicolon. */
const shortText = (description: string) => /^[^;]*/.exec(description)![0];
