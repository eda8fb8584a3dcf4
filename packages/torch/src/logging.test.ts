// What libtorch logs, in processes of their own: a crash in its stream would end them without a word.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const addon = JSON.stringify(new URL('native.ts', import.meta.url).href);

/** Runs code that has the addon as `native`, and returns how the process ended and what it wrote to stderr. */
function run(code: string, level: string | undefined) {
  const text = `const { native } = await import(${addon}); ${code}`;
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', text],
    { cwd: root, encoding: 'utf8', env: { ...process.env, TORCH_CPP_LOG_LEVEL: level } },
  );
  return { status, signal, stderr };
}

test('what libtorch logs of a store that is not there is printed at WARNING, and not unless it is asked for', () => {
  const code = `try { native().openTcpStore('127.0.0.1', 1, false, 100); } catch (error) { console.error('caught', error.message); }`;
  const loud = run(code, 'WARNING');
  expect(loud).toMatchObject({ status: 0, signal: null });
  expect(loud.stderr).toMatch(/^\[W.*socket.*127\.0\.0\.1/m);
  expect(loud.stderr).toMatch(/^caught openTcpStore: /m);
  const quiet = run(code, undefined);
  expect(quiet.stderr).toMatch(/^caught openTcpStore: [^\n]*\n/);
});
