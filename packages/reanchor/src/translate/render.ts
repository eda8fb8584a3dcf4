/** The text of a recipe with comments: where each value comes from, and what is to be known of it. */
import { isRecord } from '../formats/index.js';
import { type Draft, inOrder, type Remark, type Setting } from './draft.js';

/** Columns that comments keep within. */
const columns = 118;

/** The YAML of a draft; `head` is what its first lines say. */
export function recipeText({ settings, missing, remarks, harmless }: Draft, head: readonly string[]): string {
  return [
    ...head.flatMap((line) => wrapped(line, '')),
    ...part('Not translated, and the training is another without it:', missing),
    ...part('To be known:', remarks),
    ...part('Without effect here:', harmless),
    '',
    ...settingLines(settings),
    '',
  ].join('\n');
}

function part(title: string, remarks: readonly Remark[]): string[] {
  if (remarks.length === 0) return [];
  return ['#', `# ${title}`, ...remarks.flatMap(({ option, text }) => wrapped(`${option}: ${text}`, '  '))];
}

/** A text as comment lines; what follows the first is indented. */
function wrapped(text: string, indent: string): string[] {
  const lines = [`# ${indent}`];
  for (const word of text.replace(/\s+/g, ' ').trim().split(' ')) {
    const line = lines.at(-1)!;
    if (line.length + word.length > columns && line.trim() !== '#') lines.push(`# ${indent}  ${word} `);
    else lines[lines.length - 1] = `${line}${word} `;
  }
  return lines.map((line) => line.trimEnd());
}

function settingLines(settings: ReadonlyMap<string, Setting>): string[] {
  const lines: string[] = [];
  let open = '';
  for (const path of inOrder(settings)) {
    const { value, comment } = settings.get(path)!;
    const names = path.split('.');
    const section = names.slice(0, -1).join('.');
    if (section !== open && section !== '') lines.push(`${section}:`);
    open = section;
    const indent = section ? '  ' : '';
    const said = comment ? ` # ${comment.replace(/\s+/g, ' ')}` : '';
    const line = `${indent}${names.at(-1)}: ${yamlOf(value)}${said}`;
    const isLong = Array.isArray(value) && line.length > columns;
    if (isLong) lines.push(`${indent}${names.at(-1)}:${said}`, ...value.map((one) => `${indent}  - ${yamlOf(one)}`));
    else lines.push(line);
  }
  return lines;
}

/** A value in the flow style of YAML, on one line. */
function yamlOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yamlOf).join(', ')}]`;
  if (isRecord(value)) {
    return `{ ${Object.entries(value)
      .map(([key, one]) => `${key}: ${yamlOf(one)}`)
      .join(', ')} }`;
  }
  if (typeof value === 'string' && !isPlain(value)) return JSON.stringify(value);
  return String(value);
}

/** Whether YAML reads a text without quotes as itself, also inside of braces. */
const isPlain = (text: string) =>
  /^[A-Za-z./][\w./@-]*(:[\w./-]+)?$/.test(text) && !/^(true|false|yes|no|on|off|null|y|n|\.nan|\.inf)$/i.test(text);
