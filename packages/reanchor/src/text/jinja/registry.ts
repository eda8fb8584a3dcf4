/** The filters and tests of templates by their names. */
import { applyingFilters } from './filters/apply.js';
import { htmlFilters } from './filters/html.js';
import { numberFilters } from './filters/numbers.js';
import { sequenceFilters } from './filters/sequences.js';
import { textFilters } from './filters/text.js';
import { type Builtin, builtins, type Run } from './python/signature.js';
import { hashOf, textOf } from './python/values.js';
import { valueTests } from './value-tests.js';

const allTests = new Map(valueTests);
const allFilters = new Map([...textFilters, ...numberFilters, ...sequenceFilters, ...htmlFilters]);

/** Whether there is one of the name. Errors: TypeError for what cannot be a key. */
const isNamed =
  (table: ReadonlyMap<string, Builtin>): Run =>
  (value) => {
    hashOf(value);
    return table.has(textOf(value) ?? '');
  };

for (const [name, filter] of applyingFilters(allFilters, allTests)) allFilters.set(name, filter);
for (const [name, test] of builtins({ filter: ['value', isNamed(allFilters)], test: ['value', isNamed(allTests)] })) {
  allTests.set(name, test);
}

export const filters: ReadonlyMap<string, Builtin> = allFilters;
export const tests: ReadonlyMap<string, Builtin> = allTests;

/** Filters of Jinja that are not here: what they give differs from run to run. */
export const notSupported: ReadonlySet<string> = new Set(['random']);
