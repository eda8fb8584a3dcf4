// Runs the commands of docs/log/study.md: their output in it, and the figures: npx tsx scripts/study.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { withOutputs } from '../tests/support/printed-commands.js';

process.chdir(new URL('..', import.meta.url).pathname);
const file = 'docs/log/study.md';
writeFileSync(file, await withOutputs(readFileSync(file, 'utf8')));
