// What libtorch logs, in processes of their own: a crash in its stream would end them without a word.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const addon = JSON.stringify(new URL('native.ts', import.meta.url).href);

/** Runs code that has the addon as `native`, and returns how the process ended and what it wrote to stderr. */
function run(code: string, level: string) {
  const text = `const { native } = await import(${addon}); ${code}`;
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', text],
    { cwd: root, encoding: 'utf8', env: { ...process.env, TORCH_CPP_LOG_LEVEL: level } },
  );
  return { status, signal, stderr };
}

test("libtorch's own complaint about TORCH_CPP_LOG_LEVEL is printed, and the process lives", () => {
  expect(run('native().getNumThreads();', 'loud')).toMatchObject({
    status: 0,
    signal: null,
    stderr: expect.stringMatching(/`TORCH_CPP_LOG_LEVEL` environment variable cannot be parsed/),
  });
});
