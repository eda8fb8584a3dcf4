// Writes what is made from the schema of recipes: docs/reference/recipe.md, and the JSON Schemas of
// packages/reanchor/schemas. npx tsx scripts/recipe-keys.ts
import { writeFileSync } from 'node:fs';
import { schemaKinds, schemaText } from '#reanchor/cli/schema.js';
import { recipeDocument } from '../tests/support/recipe-document.js';

writeFileSync(new URL('../docs/reference/recipe.md', import.meta.url), recipeDocument());
for (const kind of schemaKinds) {
  writeFileSync(new URL(`../packages/reanchor/schemas/${kind}.schema.json`, import.meta.url), await schemaText(kind));
}
