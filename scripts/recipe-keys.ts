// Writes docs/reference/recipe.md, which is made from the schema of recipes. npx tsx scripts/recipe-keys.ts
import { writeFileSync } from 'node:fs';
import { recipeDocument } from '../tests/support/recipe-document.js';

writeFileSync(new URL('../docs/reference/recipe.md', import.meta.url), recipeDocument());
