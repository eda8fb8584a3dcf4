/** JSON Schemas of the files that people write, for editors. They are made of the schemas that read the files. */
import * as z from 'zod';
import type { JsonSchema } from './keys.js';
import { recipeKey } from './keys.js';
import { recipeSchema } from './recipe.js';

/** A file that stands alone, or a part that others extend and that need not be whole. */
export type FileKind = 'whole' | 'part';

/**
 * The JSON Schema (draft-07, which the YAML language server of editors reads) of a recipe file.
 *
 * It refuses unknown keys and wrong values as `parseRecipe` does. What no schema of single keys can hold, the rules
 * between keys (`crossRules`), it lets pass, and of a file that extends others, what is missing in both.
 */
export function recipeJsonSchema(kind: FileKind): JsonSchema {
  return fileJsonSchema(
    z.toJSONSchema(recipeSchema, { io: 'input', target: 'draft-7' }),
    kind,
    kind === 'whole'
      ? 'A recipe of reanchor: a run of training'
      : 'A part of recipes of reanchor, which they name by extends',
  );
}

/**
 * The schema of a file of which `whole` is the schema when it extends no other: one that does may leave keys to those
 * under it, and take keys out by null; so may a part.
 */
export function fileJsonSchema(whole: JsonSchema, kind: FileKind, title: string): JsonSchema {
  const { $schema, ...content } = whole;
  const withExtends = { ...content, properties: { extends: extendsSchema(), ...content.properties } } as JsonSchema;
  const part = partial(withExtends);
  if (kind === 'part') return { $schema, title, ...part } as JsonSchema;
  return {
    $schema,
    title,
    if: { type: 'object', required: ['extends'] },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
    then: part,
    else: withExtends,
  } as JsonSchema;
}

const extendsSchema = (): JsonSchema => {
  const file = { type: 'string', minLength: 1 } as const;
  return { anyOf: [file, { type: 'array', items: file }], description: recipeKey('extends')!.description };
};

/** A schema of sections of which keys may be left out, and taken out of what lies under them by null. */
function partial(schema: JsonSchema): JsonSchema {
  // Forms that only their required keys tell apart overlap without them.
  if (schema.oneOf) {
    const { oneOf, ...rest } = schema;
    return { ...rest, anyOf: (oneOf as JsonSchema[]).map(partial) } as JsonSchema;
  }
  if (schema.type !== 'object') return schema;
  const { required: _all, ...rest } = schema;
  // A section whose names are free, such as the stages of a study.
  if (!schema.properties) {
    const values = schema.additionalProperties;
    return typeof values === 'object' ? { ...rest, additionalProperties: orNull(values as JsonSchema) } : schema;
  }
  const properties = Object.entries(schema.properties).map(([name, value]) => [name, orNull(value as JsonSchema)]);
  return { ...rest, properties: Object.fromEntries(properties) } as JsonSchema;
}

function orNull(schema: JsonSchema): JsonSchema {
  const { description, default: value, examples, ...content } = partial(schema) as JsonSchema & { examples?: unknown };
  return { description, default: value, examples, anyOf: [content, { type: 'null' }] } as JsonSchema;
}
