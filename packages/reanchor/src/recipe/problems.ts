/** What is wrong with a recipe, in words: key path, given value, rule, nearest valid name. */

import type * as z from 'zod';
import { shown } from '../errors.js';
import { mapTexts } from '../formats/index.js';
import { withoutPasswords } from '../secrets.js';
import { type CrossRule, crossRules } from './cross-rules.js';
import { type RecipeKey, recipeKey, recipeKeys } from './keys.js';
import { nearest } from './nearest.js';
import { recipeSchema } from './recipe.js';
import { addressKey, type Environment, variableProblems } from './variables.js';

/** One problem of a recipe, or of a study, not yet placed in a file. */
export interface Problem {
  path: readonly PropertyKey[];
  message: string;
  /** Whether the key itself is the mistake, not its value. */
  isKey: boolean;
}

/** All that the schema and the rules between keys have against a recipe's plain values; empty for a valid recipe. */
export const problemsOf = (given: Record<string, unknown>): Problem[] => [
  ...schemaProblems(given),
  ...brokenRules(given).map((rule) => ruleProblem(rule, given)),
];

/** What the schema has against a recipe's plain values. */
export function schemaProblems(given: Record<string, unknown>): Problem[] {
  const result = recipeSchema.safeParse(given);
  return result.success ? [] : result.error.issues.flatMap((issue) => problemsOfIssue(issue, given));
}

/** The rules between keys that a recipe's plain values break. */
export const brokenRules = (given: Record<string, unknown>): CrossRule[] =>
  crossRules.filter(({ isBroken }) => isBroken(given));

export function ruleProblem({ path, rule }: CrossRule, given: Record<string, unknown>): Problem {
  return { path, message: `${pathText(path)}: ${describe(valueAt(given, path))}: ${rule}`, isKey: false };
}

/** What is wrong with `${NAME}` in the texts of a recipe. */
export function environmentProblems(given: unknown, env: Environment): Problem[] {
  const problems: Problem[] = [];
  mapTexts(given, (text, path) => {
    for (const why of variableProblems(path, text, env))
      problems.push({ path, message: `${pathText(path)}: ${why}`, isKey: false });
    return text;
  });
  return problems;
}

/** What the rules between keys say of a key, as messages say it when a rule is broken. */
export const rulesOf = (path: string): string[] =>
  crossRules.filter((rule) => pathText(rule.path) === path).map(({ rule }) => rule);

/** Why no key of a recipe has the given path, with the nearest one that has. */
export function unknownKeyMessage(path: readonly PropertyKey[]): string {
  const name = String(path.at(-1));
  const section = path.slice(0, -1).map(String).join('.');
  const all = recipeKeys().map((key) => key.path);
  const sibling = nearest(name, keyNames(section));
  const leaf = nearest(
    name,
    all.map((key) => key.split('.').at(-1)!),
  );
  const suggestion =
    (sibling && [section, sibling].filter(Boolean).join('.')) ??
    nearest(path.map(String).join('.'), all) ??
    (leaf && all.find((key) => key === leaf || key.endsWith(`.${leaf}`)));
  if (suggestion) return `${pathText(path)}: unknown key; did you mean ${suggestion}?`;
  const where = recipeKey(section)?.isSection ? section : '';
  const owner = where ? `the keys of ${where}` : 'the keys of a recipe';
  return `${pathText(path)}: unknown key; ${owner} are ${keyNames(where).join(', ')}`;
}

/** A path as people write it: `optimizer.betas[1]`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key)),
    '',
  );
}

/** The problem of one value, given the documented key that it belongs to. */
export function valueMessage(path: readonly PropertyKey[], given: unknown, key: RecipeKey): string {
  const name = key.path.split('.').at(-1);
  const meaning = key.isSection ? `a section with the keys ${key.type.slice(2, -2)}` : shortDescription(key);
  const is = `${name} is ${meaning}`;
  const allowed = key.isSection ? '' : `; allowed: ${key.type}`;
  const text = pathText(path);
  if (given === undefined) return `${text}: missing: ${is}${allowed}`;
  if (given === null || given === '') return `${text}: empty: ${is}${allowed}; give a value or remove the key`;
  // An address that is wrong may have a password in it.
  const what = key.path === addressKey ? 'this address' : describe(given);
  return `${text}: ${what} is not allowed: ${is}${allowed}${hint(given, key)}`;
}

function problemsOfIssue(issue: z.core.$ZodIssue, given: Record<string, unknown>): Problem[] {
  const isInValue = issue.path.some((key) => typeof key === 'number');
  if (issue.code === 'unrecognized_keys' && !isInValue) {
    return issue.keys.map((name) => unknownKey([...issue.path, name], given));
  }
  const key = documentedKey(issue.path);
  const value = valueAt(given, issue.path);
  if (value === undefined && key.isSection) {
    return keyNames(key.path)
      .map((name) => recipeKey(`${key.path}.${name}`)!)
      .filter((inner) => inner.isRequired && !inner.usedWith)
      .map((inner) => ({
        path: inner.path.split('.'),
        message: valueMessage(inner.path.split('.'), undefined, inner),
        isKey: false,
      }));
  }
  const problem = { path: issue.path, message: valueMessage(issue.path, value, key), isKey: false };
  return [
    problem,
    ...(issue.code === 'invalid_union' && 'discriminator' in issue && issue.discriminator
      ? problemsWithoutForm(issue.path, given)
      : []),
  ];
}

/** The other keys of a section whose form is unknown: zod looks no further once `update` names no form. */
function problemsWithoutForm(chooserPath: readonly PropertyKey[], given: Record<string, unknown>): Problem[] {
  const section = chooserPath.slice(0, -1);
  const forms = recipeSchema.shape.reference.unwrap().options;
  return Object.entries(valueAt(given, section) as object).flatMap(([name, value]) => {
    const path = [...section, name];
    const schemas = forms.flatMap((form) => Object.entries(form.shape).filter(([inner]) => inner === name));
    if (name === chooserPath.at(-1)) return [];
    if (schemas.length === 0) return [unknownKey(path, given)];
    if (schemas.some(([, schema]) => schema.safeParse(value).success)) return [];
    return [{ path, message: valueMessage(path, value, documentedKey(path)), isKey: false }];
  });
}

function unknownKey(path: readonly PropertyKey[], given: Record<string, unknown>): Problem {
  const key = recipeKey(path.map(String).join('.'));
  if (!key?.usedWith) return { path, message: unknownKeyMessage(path), isKey: true };
  const chooser = [...path.slice(0, -1), key.usedWith.key];
  const form = `${key.usedWith.key}: ${String(valueAt(given, chooser))}`;
  const message =
    `${pathText(path)}: not used with ${form}, only with ${key.usedWith.key}: ${key.usedWith.values.join(' | ')}; ` +
    `remove it or change ${pathText(chooser)}`;
  return { path, message, isKey: true };
}

function hint(given: unknown, key: RecipeKey): string {
  if (typeof given !== 'string') return '';
  const isNumber = /(number|integer)/.test(key.type);
  if (isNumber && given.trim() !== '' && Number.isFinite(Number(given.replaceAll('_', '')))) {
    return `; this is text: write ${given.replaceAll('_', '')} without ${given.includes('_') ? 'underscores' : 'quotes'}`;
  }
  if (key.type === 'true | false') return '; write true or false without quotes';
  const suggestion = nearest(given, key.type.split(' | '));
  return suggestion && !isNumber ? `; did you mean ${suggestion}?` : '';
}

/** A description up to its first colon or semicolon. */
const shortDescription = (key: RecipeKey) => /^[^:;]*/.exec(key.description)![0];

/** The documented key of a path, whose list indices do not count; of a part of a value, that of the value. */
function documentedKey(path: readonly PropertyKey[]): RecipeKey {
  const name = path.filter((key) => typeof key !== 'number').join('.');
  const key = recipeKey(name) ?? recipeKey(name.split('.').slice(0, -1).join('.'));
  if (!key) throw new Error(`internal: no documented recipe key ${name}`);
  return key;
}

/** The names of the keys directly in a section; '' is the whole recipe. */
function keyNames(section: string): string[] {
  const prefix = section === '' ? '' : `${section}.`;
  return recipeKeys()
    .filter((key) => key.path.startsWith(prefix))
    .map((key) => key.path.slice(prefix.length))
    .filter((name) => !name.includes('.'));
}

function describe(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return shown(mapTexts(value, withoutPasswords));
}

export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    value,
  );
}
