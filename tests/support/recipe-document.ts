import { recipeKeys } from '#reanchor/recipe/keys.js';

/** docs/reference/recipe.md, from the schema. */
export function recipeDocument(): string {
  const rows = recipeKeys().map(({ path, type, description, default: value, isRequired, isSection, usedWith }) => {
    const presence = [
      usedWith && `with \`${usedWith.key}: ${usedWith.values.join(' | ')}\``,
      isRequired && !usedWith ? 'required' : value !== undefined && `\`${JSON.stringify(value)}\``,
    ].filter(Boolean);
    const allowed = isSection ? 'section' : type.replaceAll('|', '\\|');
    return `| \`${path}\` | ${allowed} | ${presence.join(', ').replaceAll(' | ', ' \\| ')} | ${description.replaceAll('|', '\\|')} |`;
  });
  return [
    '# The recipe',
    '',
    'This page is made from the schema by `npx tsx scripts/recipe-keys.ts`; a test compares. Unknown keys, keys without',
    'effect and keys that contradict each other are errors, all reported at once. `--set a.b=c` overrides a key, `--set',
    'a.b=null` takes it out. Files and folders are relative to the working directory.',
    '',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is shown, not filled in
    '`${NAME}` in the path of a model, of rows or of a `.jinja` file is a variable of the environment; it may also be the',
    'whole of `log.mlflow`. What it stands for has to be on this machine, is sent nowhere and written nowhere:',
    '[security.md](security.md#variables-in-a-recipe).',
    '',
    '| key | allowed | default | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
