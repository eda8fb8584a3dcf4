import { recipeKeys } from '../../packages/reanchor/src/runs/keys.js';

/** docs/recipe.md, from the schema. */
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
    'Made from the schema by `npx tsx scripts/recipe-keys.ts`; a test compares. Unknown keys, keys without effect and keys that contradict each other are errors,',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is shown, not filled in
    'all reported at once. `--set a.b=c` overrides a key, `--set a.b=null` takes it out, and `${NAME}` in a text is replaced from the environment. Files and folders are relative to the working directory.',
    '',
    '| key | allowed | default | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
