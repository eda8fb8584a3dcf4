// A training run in a process of its own, to be killed: says "ready", waits for a line on stdin, begins the run in a
// folder or goes on with it, with a line on stdout for every event, and says "done". Run with tsx; arguments: a recipe
// as JSON, the run folder.
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ones } from '@reanchor/torch';
import { train } from '#reanchor/driver/index.js';
import { UserError } from '#reanchor/errors.js';
import { recipeSchema } from '#reanchor/recipe/index.js';

async function main(text: string, out: string): Promise<void> {
  const recipe = recipeSchema.parse(JSON.parse(text));
  ones([1]).dispose();
  console.log('ready');
  await once(process.stdin, 'data');
  const onEvent = ({ type }: { type: string }) => console.log(type);
  const start = (resume: boolean) => train({ recipe, out, command: [], resume, onEvent });
  try {
    await start(existsSync(join(out, 'run.json')));
  } catch (error) {
    // What its message advises.
    if (!(error instanceof UserError && /cut off before its first checkpoint/.test(error.message))) throw error;
    rmSync(out, { recursive: true });
    await start(false);
  }
  console.log('done');
}

// Only where it is the program that was started.
const [, program = '', text = '', out = ''] = process.argv;
if (program.endsWith('resume-process.ts')) {
  main(text, out).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
