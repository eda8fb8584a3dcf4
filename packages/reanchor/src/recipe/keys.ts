/** The documented keys of a recipe, derived from its schema: for error messages, help texts, docs and tests. */
import * as z from 'zod';
import { recipeSchema } from './recipe.js';

/** One key of a recipe. */
export interface RecipeKey {
  /** Dotted path, such as `optimizer.lr`. */
  path: string;
  /** What is allowed, in words: `number in [0, 1]`, `soft | hard`, `integer >= 1`; of a section, its keys. */
  type: string;
  /** A noun phrase: "<last part of the path> is <description>". */
  description: string;
  isRequired: boolean;
  isSection: boolean;
  /** What holds when the key is left out; absent when nothing does. */
  default?: unknown;
  /** In a section of several forms: the key that chooses the form, and the values with which this key is used. */
  usedWith?: { key: string; values: string[] };
}

/** A schema as {@link typeText} reads it. */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The key of recipe files that is gone once they are laid over each other (`layers.ts`). */
const extendsKey: RecipeKey = {
  path: 'extends',
  type: 'string | list of strings',
  description:
    'the recipe file under this one, or a list of them from the lowest up, named relative to this file; its keys hold where this one does not give them, sections are laid over each other key by key, null takes a key out; a reference that names its update is taken as a whole',
  isRequired: false,
  isSection: false,
};

/** All keys and sections of a recipe file in the order of the schema, each section before its keys. */
export function recipeKeys(): readonly RecipeKey[] {
  keys ??= [extendsKey, ...keysOf(z.toJSONSchema(recipeSchema, { io: 'input' }), '')];
  return keys;
}
let keys: RecipeKey[] | undefined;

/** The names of the keys and sections of a recipe itself. */
export const topLevelKeys = (): string[] => recipeKeys().flatMap(({ path }) => (path.includes('.') ? [] : [path]));

/** The key or section at a dotted path, if there is one. */
export function recipeKey(path: string): RecipeKey | undefined {
  return recipeKeys().find((key) => key.path === path);
}

/** The schema of the key at a dotted path, in sections of one form. */
export function recipeKeySchema(path: string): z.ZodType {
  return path.split('.').reduce<z.ZodType>((section, name) => {
    let inner = section;
    while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType;
    const schema = inner instanceof z.ZodObject ? inner.shape[name] : undefined;
    if (!schema) throw new Error(`internal: no recipe key ${path}`);
    return schema as z.ZodType;
  }, recipeSchema);
}

function* keysOf(section: JsonSchema, prefix: string): Generator<RecipeKey> {
  const found = new Map<string, RecipeKey[]>();
  const forms = section.oneOf ?? [section];
  const chooser = section.oneOf === undefined ? undefined : chooserOf(forms as JsonSchema[]);
  for (const form of forms as JsonSchema[]) {
    for (const [name, value] of Object.entries(form.properties ?? {})) {
      const schema = value as JsonSchema;
      const path = prefix + name;
      const formValue = chooser && String(constantOf(form, chooser));
      const known = found.get(path)?.[0];
      if (known) {
        if (name === chooser) known.type += ` | ${formValue}`;
        else known.usedWith?.values.push(formValue!);
        continue;
      }
      const isSection = schema.type === 'object' || schema.oneOf !== undefined;
      const inner = isSection ? [...keysOf(schema, `${path}.`)] : [];
      const key: RecipeKey = {
        path,
        type: isSection ? `{ ${directNames(inner, path).join(', ')} }` : typeText(schema),
        description: schema.description ?? '',
        isRequired: form.required?.includes(name) ?? false,
        isSection,
        ...(schema.default === undefined || (isSection && schema.oneOf === undefined)
          ? {}
          : { default: schema.default }),
        ...(chooser && name !== chooser ? { usedWith: { key: chooser, values: [formValue!] } } : {}),
      };
      found.set(path, [key, ...inner]);
    }
  }
  for (const group of found.values()) yield* group;
}

/** The property that is a constant in each form. */
function chooserOf(forms: JsonSchema[]): string | undefined {
  const names = Object.keys(forms[0]?.properties ?? {});
  return names.find((name) => forms.every((form) => constantOf(form, name) !== undefined));
}

const constantOf = (form: JsonSchema, name: string) => (form.properties?.[name] as JsonSchema | undefined)?.const;

const directNames = (inner: RecipeKey[], section: string) =>
  inner.map((key) => key.path.slice(section.length + 1)).filter((name) => !name.includes('.'));

/** What a schema allows, in words. */
export function typeText(schema: JsonSchema): string {
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum) return schema.enum.join(' | ');
  // A pattern of texts, by examples.
  if (schema.pattern && schema.examples) return schema.examples.join(' | ');
  if (schema.anyOf) return (schema.anyOf as JsonSchema[]).map(typeText).join(' | ');
  if (schema.prefixItems) return `[${(schema.prefixItems as JsonSchema[]).map(typeText).join(', ')}]`;
  if (schema.type === 'array') {
    const item = typeText(schema.items as JsonSchema);
    return item.includes(' ') ? `list of (${item})` : `list of ${item}s`;
  }
  if (schema.type === 'object') {
    const inner = Object.entries(schema.properties ?? {}) as [string, JsonSchema][];
    return `{ ${inner.map(([name, value]) => `${name}: ${typeText(value)}`).join(', ')} }`;
  }
  if (schema.type === 'boolean') return 'true | false';
  if (schema.type === 'number' || schema.type === 'integer') return `${schema.type}${boundsText(schema)}`;
  return String(schema.type ?? 'anything');
}

function boundsText(schema: JsonSchema): string {
  const isGiven = (bound: unknown): bound is number =>
    typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  const low = [schema.minimum, schema.exclusiveMinimum].find(isGiven);
  const high = [schema.maximum, schema.exclusiveMaximum].find(isGiven);
  const isOpenLow = isGiven(schema.exclusiveMinimum);
  const isOpenHigh = isGiven(schema.exclusiveMaximum);
  if (low !== undefined && high !== undefined) {
    return ` in ${isOpenLow ? '(' : '['}${low}, ${high}${isOpenHigh ? ')' : ']'}`;
  }
  if (low !== undefined) return ` ${isOpenLow ? '>' : '>='} ${low}`;
  if (high !== undefined) return ` ${isOpenHigh ? '<' : '<='} ${high}`;
  return '';
}
