import { UsageError } from '../errors.js';
import { type RecipeKey, recipeKey, recipeKeys, rulesOf, unknownKeyMessage } from '../recipe/index.js';
import { documentation } from '../version.js';
import { type Terminal, table } from './terminal.js';

/** The flags of `explain` as commander gives them. */
export interface ExplainFlags {
  json?: boolean | undefined;
}

/**
 * The page of the documentation, and the heading in it, that says more of a key, or of all keys of a section; the
 * longest path counts.
 */
export const pages: Readonly<Record<string, string>> = {
  extends: 'guide/first-run.md',
  model: 'guide/hub.md',
  precision: 'reference/methods.md#precision-precision',
  matmul: 'guide/cpu.md',
  device: 'guide/gpu.md',
  deterministic: 'guide/gpu.md',
  adapter: 'guide/adapters.md',
  quantize: 'guide/adapters.md#a-base-in-four-bits',
  method: 'reference/methods.md',
  loss: 'reference/methods.md',
  reference: 'reference/methods.md#the-moving-reference-reference',
  'reference.maxDivergence': 'guide/choosing.md',
  'reference.average': 'guide/adapters.md#how-the-reference-moves',
  'reference.rank': 'guide/adapters.md#how-the-reference-moves',
  data: 'guide/data.md',
  batch: 'guide/estimate.md',
  'optimizer.moments': 'reference/methods.md#precision-precision',
  evaluate: 'guide/evaluation.md',
  onDivergence: 'reference/checkpoints.md',
  onRunaway: 'guide/choosing.md',
  parallel: 'guide/parallel.md',
  checkpoint: 'reference/checkpoints.md',
  save: 'reference/checkpoints.md',
  log: 'guide/dashboard.md',
  threads: 'guide/cpu.md',
};

/** The page that lists all keys. */
const listPage = 'reference/recipe.md';

/** All that `explain` says of a key. */
interface Explanation extends RecipeKey {
  /** What the key contradicts, or needs, of other keys. */
  rules: readonly string[];
  /** Addresses of pages that say more. */
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

/** The key of a path. Errors: UsageError with the nearest one, or with what reads a file. */
function named(path: string): RecipeKey {
  const key = recipeKey(path);
  if (key) return key;
  if (/[/\\]|\.(ya?ml|json)$/.test(path)) {
    throw new UsageError(
      `${path} is a file; explain takes a key, such as reference.alpha. ` +
        `To see what a recipe comes to, without a run: npx reanchor estimate ${path}`,
    );
  }
  const ends = recipeKeys().filter((one) => one.path.endsWith(`.${path}`));
  throw new UsageError(
    ends.length === 0
      ? unknownKeyMessage(path.split('.'))
      : `${path}: unknown key; name its section: ${ends.map((one) => one.path).join(' or ')}`,
  );
}

function explanation(key: RecipeKey): Explanation {
  return { ...key, rules: rulesOf(key.path), docs: [...pageOf(key.path), listPage].map(documentation) };
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
