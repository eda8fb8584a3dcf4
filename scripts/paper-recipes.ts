// Writes recipes/paper/*.yaml, one for every run of the paper, from the parts beside them:
//
//   npx tsx scripts/paper-recipes.ts
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { estimateLines, paperEstimate, paperRecipes, withEstimate } from '../tests/support/paper-recipes.js';

const folder = fileURLToPath(new URL('../recipes/paper', import.meta.url));
for (const name of readdirSync(folder).filter((name) => name.endsWith('.yaml'))) rmSync(join(folder, name));
for (const [name, text] of paperRecipes()) {
  writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, name), withEstimate(text, estimateLines(await paperEstimate(name))));
}
