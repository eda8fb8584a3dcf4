// A training run in a process that may not take more memory than it has when the run begins, and so many megabytes:
// prints the message of its error. Linux only. Run with tsx; arguments: a recipe as JSON, the run folder, megabytes.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { train } from '#reanchor/driver/index.js';
import { recipeSchema } from '#reanchor/recipe/index.js';

const [, program = '', text = '', out = '', megabytes = ''] = process.argv;
if (program.endsWith('limited-process.ts')) {
  const onEvent = ({ type }: { type: string }) => {
    if (type !== 'start') return;
    const [, kilobytes] = /VmSize:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))!;
    const bytes = 1024 * Number(kilobytes) + 1e6 * Number(megabytes);
    execFileSync('prlimit', ['--pid', String(process.pid), `--as=${bytes}`]);
  };
  await train({ recipe: recipeSchema.parse(JSON.parse(text)), out, command: [], onEvent }).then(
    () => console.log('done'),
    (error: Error) => console.log(`${error.name}: ${error.message}`),
  );
}
