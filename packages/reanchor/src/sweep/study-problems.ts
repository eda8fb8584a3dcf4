/** What is wrong with a study, in words: the key, what was given, what is allowed, the nearest valid name. */
import * as z from 'zod';
import { shown } from '../errors.js';
import { type JsonSchema, nearest, type Problem, pathText, typeText, valueAt } from '../recipe/index.js';
import { studySchema } from './study-schema.js';

/** All that the schema has against the values of a study. */
export function schemaProblems(given: unknown): Problem[] {
  const result = studySchema.safeParse(given);
  return result.success ? [] : result.error.issues.flatMap((issue) => problemsOf(issue, given));
}

/** Why a name is none of those that are there. */
export function unknownName(name: string, names: readonly string[], what: string): string {
  const near = nearest(name, names);
  return near ? `did you mean ${near}?` : `${what} ${names.join(', ') || '(none)'}`;
}

function problemsOf(issue: z.core.$ZodIssue, given: unknown): Problem[] {
  const schema = schemaAt(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const names = Object.keys(schema?.properties ?? {});
    const where = issue.path.length === 0 ? 'a study' : pathText(issue.path);
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `${pathText([...issue.path, key])}: unknown key; ${unknownName(key, names, `the keys of ${where} are`)}`,
      isKey: true,
    }));
  }
  const value = valueAt(given, issue.path);
  const what = value === undefined ? 'missing' : `${shown(value)} is not allowed`;
  const meaning = schema?.description ? `: ${String(issue.path.at(-1))} is ${schema.description}` : '';
  // The forms of a union are in its description.
  const allowed = schema === undefined || schema.anyOf ? '' : `; allowed: ${typeText(schema)}`;
  return [{ path: issue.path, message: `${pathText(issue.path)}: ${what}${meaning}${allowed}`, isKey: false }];
}

/** The schema of the value at a path. */
function schemaAt(path: readonly PropertyKey[]): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>(
    (schema, key) => {
      const inner =
        typeof key === 'number' ? schema?.items : (schema?.properties?.[String(key)] ?? schema?.additionalProperties);
      return inner as JsonSchema | undefined;
    },
    z.toJSONSchema(studySchema, { io: 'input' }) as JsonSchema,
  );
}
