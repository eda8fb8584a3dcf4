/** The JSON Schema of a study, for editors. */
import * as z from 'zod';
import { type FileKind, fileJsonSchema, type JsonSchema, recipeJsonSchema, recipeKeys } from '../recipe/index.js';
import { studySchema } from './study-schema.js';

/**
 * The JSON Schema (draft-07) of a study file. Keys of the recipe in it are those of a recipe; lists of values in arms,
 * and the recipes that come of them, it lets pass: `parseStudy` and `settingsOf` look at these.
 */
export function studyJsonSchema(kind: FileKind): JsonSchema {
  const title =
    kind === 'whole' ? 'A study of reanchor: what a sweep compares' : 'A part of studies of reanchor, named by extends';
  const whole = z.toJSONSchema(studySchema, { io: 'input', target: 'draft-7' }) as JsonSchema;
  const { base, arms, stages } = whole.properties as Record<string, JsonSchema>;
  const { train } = (stages!.additionalProperties as JsonSchema).properties as Record<string, JsonSchema>;
  for (const recipe of [base!, train!]) recipe.anyOf = [{ type: 'string', minLength: 1 }, recipeReference];
  arms!.additionalProperties = armSchema();
  return { ...fileJsonSchema(whole, kind, title), definitions: { recipe: recipeInside() } } as JsonSchema;
}

const recipeReference = { $ref: '#/definitions/recipe' };

/** A recipe in a study: arms may give what it lacks, and keys inside of sections may be written with dots. */
function recipeInside(): JsonSchema {
  const { $schema: _schema, title: _title, ...recipe } = recipeJsonSchema('part');
  return { ...recipe, patternProperties: { '^[a-zA-Z]+\\.[a-zA-Z.]+$': {} } } as JsonSchema;
}

/** The keys of an arm, with dots inside of sections, and what they may be left to the reader. */
function armSchema(): JsonSchema {
  const keys = recipeKeys().map(({ path, description }) => [path, { description }]);
  const base = { type: 'string', description: 'the arm whose keys this one begins with' };
  return { type: 'object', properties: Object.fromEntries([['base', base], ...keys]), additionalProperties: false };
}
