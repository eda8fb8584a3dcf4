/** The tables of docs/guide/from-trl.md, from those that the translators go by. */
import { recipeKeys } from '#reanchor/recipe/index.js';
import { asTrl, axolotlOptions, trlOptions } from '#reanchor/translate/index.js';

const mark = '<!-- What follows is made by npx tsx scripts/recipe-keys.ts; a test compares. -->';

/** The page with its tables made anew. */
export function withTables(page: string): string {
  const at = page.indexOf(mark);
  if (at < 0) throw new Error(`docs/guide/from-trl.md has no line ${mark}`);
  return `${page.slice(0, at)}${mark}\n\n${tables()}\n`;
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');
const row = (...cells: string[]) => `| ${cells.map(cell).join(' | ')} |`;
const sorted = <T>(record: Readonly<Record<string, T>>) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));

function tables(): string {
  return [
    '## TRL: what is translated',
    '',
    row('argument', 'becomes', 'how'),
    '|---|---|---|',
    ...sorted(trlOptions.translated).map(([name, { to, how = '' }]) => row(code([name]), code(to), how)),
    '',
    '## TRL: what cannot be translated',
    '',
    ...untranslatedRows(trlOptions.untranslated),
    '',
    '## TRL: what has no effect here',
    '',
    ...harmlessRows(trlOptions.harmless),
    '',
    '## axolotl: what is translated',
    '',
    row('key', 'becomes', 'how'),
    '|---|---|---|',
    ...axolotlRows(),
    '',
    '## axolotl: what cannot be translated',
    '',
    ...untranslatedRows(axolotlOptions.untranslated),
    '',
    '## axolotl: what has no effect here',
    '',
    ...harmlessRows(axolotlOptions.harmless),
    '',
    '## From reanchor to TRL and axolotl',
    '',
    row('key of a recipe', 'TRL', 'axolotl'),
    '|---|---|---|',
    ...backwardRows(),
  ].join('\n');
}

const untranslatedRows = (options: typeof trlOptions.untranslated) => [
  row('option', 'why', 'changes nothing as'),
  '|---|---|---|',
  ...sorted(options).map(([name, { why, off }]) =>
    row(code([name]), why, code(off.map((value) => JSON.stringify(value)))),
  ),
];

function harmlessRows(options: Readonly<Record<string, string>>): string[] {
  const reasons = new Map<string, string[]>();
  for (const [name, why] of Object.entries(options)) reasons.set(why, [...(reasons.get(why) ?? []), name]);
  return [row('why', 'options'), '|---|---|', ...[...reasons].map(([why, names]) => row(why, code(names.sort())))];
}

/** The keys of axolotl that are translated, those that are arguments of TRL among them. */
function axolotlRows(): string[] {
  const renamed = Object.entries(asTrl).map(([key, argument]): [string, string] => {
    const translated = trlOptions.translated[argument];
    return [
      key,
      row(code([key]), code(translated?.to ?? []), `${translated ? 'as' : 'untranslated, as'} TRL's \`${argument}\``),
    ];
  });
  const own = Object.entries(axolotlOptions.translated).map(([key, { to, how = '' }]): [string, string] => [
    key,
    row(code([key]), code(to), how),
  ]);
  return [...renamed, ...own].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
}

/** The keys of a recipe with the options that become them. */
function backwardRows(): string[] {
  const axolotl = [
    ...Object.entries(asTrl).map(([key, argument]) => [key, trlOptions.translated[argument]?.to ?? []] as const),
    ...Object.entries(axolotlOptions.translated).map(([key, { to }]) => [key, to] as const),
  ];
  return recipeKeys().flatMap(({ path }) => {
    const fromTrl = Object.entries(trlOptions.translated).filter(([, { to }]) => to.includes(path));
    const fromAxolotl = axolotl.filter(([, to]) => to.includes(path));
    const isNone = fromTrl.length === 0 && fromAxolotl.length === 0;
    if (isNone && recipeKeys().some((key) => key.path.startsWith(`${path}.`))) return [];
    const names = [fromTrl.map(([name]) => name), fromAxolotl.map(([key]) => key)];
    return [row(code([path]), ...names.map((list) => (list.length > 0 ? code(list.sort()) : 'none')))];
  });
}
