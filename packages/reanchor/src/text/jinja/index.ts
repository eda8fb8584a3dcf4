/**
 * Jinja, as Python's transformers use it for chat templates: Jinja2 3.1, sandboxed, with `trim_blocks` and
 * `lstrip_blocks`, loop controls and `{% generation %}`. What differs from run to run, or needs other files, is refused
 * by its name.
 */
import { globals } from './globals.js';
import { lift } from './lift.js';
import { bounded } from './limits.js';
import { dumpJson } from './python/json.js';
import { reprOf } from './python/repr.js';
import { renderTemplate } from './render.js';
import { Scope } from './scope.js';
import { readTemplate, type Template } from './syntax/parser.js';

export { fail, TemplateError } from './errors.js';
export { toText } from './python/convert.js';
export { stringOf } from './python/repr.js';
export { builtins } from './python/signature.js';
export { Float } from './python/values.js';
export type { Template };

/** Variables of a template: values of JSON, or functions of {@link builtins}. */
export type Variables = Readonly<Record<string, unknown>>;

/**
 * The template of a source. Errors: TemplateError of the kind that Jinja has for it; Unsupported, with its name, for
 * what is not read; LimitError for one that goes too deep.
 */
export const parseTemplate = (source: string): Template => bounded(() => readTemplate(source));

/** What a template writes. Errors: TemplateError of the kind that Jinja or Python has for it; LimitError. */
export function render(template: Template, variables: Variables): string {
  const scope = new Scope(globalScope);
  for (const [name, value] of Object.entries(variables)) if (value !== undefined) scope.set(name, lift(value));
  return bounded(() => renderTemplate(template, scope));
}

/**
 * A value of JSON as a template may print it: as Python's source has it, and as JSON. Errors: those of {@link lift}.
 */
export function printedForms(value: unknown): string[] {
  const lifted = lift(value);
  const style = { indent: undefined, itemSeparator: ', ', keySeparator: ': ', ensureAscii: false, sortKeys: false };
  return [reprOf(lifted), dumpJson(lifted, style)];
}

const globalScope = new Scope(undefined);
for (const [name, value] of globals) globalScope.set(name, value);
