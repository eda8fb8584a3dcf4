import { UsageError } from '../errors.js';
import { writeFileAtomic } from '../formats/index.js';
import { type FileKind, type JsonSchema, nearest, recipeJsonSchema } from '../recipe/index.js';
import type { Terminal } from './terminal.js';

/** The flags of `schema` as commander gives them. */
export interface SchemaFlags {
  out?: string | undefined;
}

const ofStudy = async (kind: FileKind) => (await import('../sweep/index.js')).studyJsonSchema(kind);

/** What makes the schema of each kind of file, by the names that the command has for them. */
const makers: Readonly<Record<string, () => JsonSchema | Promise<JsonSchema>>> = {
  recipe: () => recipeJsonSchema('whole'),
  'recipe-part': () => recipeJsonSchema('part'),
  study: () => ofStudy('whole'),
  'study-part': () => ofStudy('part'),
};

/** The kinds of files that have a schema. */
export const schemaKinds = Object.keys(makers);

/** The text of the schema of a kind of files, as its file has it. Errors: UsageError for another kind. */
export async function schemaText(kind: string): Promise<string> {
  const make = makers[kind];
  if (!make) {
    const near = nearest(kind, schemaKinds);
    throw new UsageError(
      `${JSON.stringify(kind)} has no schema: ${near ? `did you mean ${near}?` : `${schemaKinds.join(', ')} have`}`,
    );
  }
  return `${JSON.stringify(await make(), null, 2)}\n`;
}

/** `reanchor schema [KIND]`: the schema, printed or written into a file. */
export async function schemaVerb(kind: string, { out }: SchemaFlags, terminal: Terminal): Promise<void> {
  const text = await schemaText(kind);
  if (out === undefined) {
    terminal.result(text.trimEnd());
    return;
  }
  await writeFileAtomic(out, text);
  terminal.note(`wrote ${out}: name it on top of a file, # yaml-language-server: $schema=PATH, relative to that file`);
}
