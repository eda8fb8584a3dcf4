// Writes docs/reference/recipe.md, which is made from the schema of recipes, and the tables of docs/guide/from-trl.md.
// npx tsx scripts/recipe-keys.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { withTables } from '../tests/support/from-trl-document.js';
import { recipeDocument } from '../tests/support/recipe-document.js';

writeFileSync(new URL('../docs/reference/recipe.md', import.meta.url), recipeDocument());
const fromTrl = new URL('../docs/guide/from-trl.md', import.meta.url);
writeFileSync(fromTrl, withTables(readFileSync(fromTrl, 'utf8')));
