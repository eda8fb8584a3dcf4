import { expect, test } from 'vitest';
import { ManualClock } from '../../../../tests/support/manual-clock.js';
import { commandScore } from './command-score.js';

const rows = [
  { prompt: 'a', completion: 'b' },
  { prompt: 'c', completion: "d $(echo x) 'e'" },
];
const shell = (script: string, options = {}) => commandScore({ command: ['sh', '-c', script] }, rows, options);

test('a program reads a row a line and writes a number for each', async () => {
  expect(await shell('while read line; do echo $(printf %s "$line" | wc -c); done')).toEqual(
    rows.map((row) => JSON.stringify(row).length),
  );
  expect(await shell('echo 1e-3; printf -- -2')).toEqual([0.001, -2]);
  expect(await shell('cat > /dev/null; echo 1; echo 2')).toEqual([1, 2]);
});

test.each([
  ['echo 1; echo NaN', 'sh, line 2: "NaN" is not allowed; a finite number is'],
  ['echo 1; echo null', 'sh, line 2: "null" is not allowed'],
  ['echo 1e999; echo 2', 'sh, line 1: "1e999" is not allowed'],
  ['echo "[1]"', 'sh, line 1: "[1]" is not allowed'],
  ['echo 1; echo; echo 2', 'sh, line 2: "" is not allowed'],
  ['echo 1', 'sh wrote 1 lines for 2 rows: line 2 is missing'],
  ['echo 1; echo 2; echo 3', 'sh wrote 3 lines for 2 rows: line 3 is one too many'],
  ['true', 'sh wrote 0 lines for 2 rows: line 1 is missing'],
  ['echo 1; echo 2; echo why >&2; exit 1', 'sh ended with 1: why'],
  ['kill -9 $$', 'sh ended with SIGKILL'],
])('what %j answers is refused', async (script, message) => {
  await expect(shell(script)).rejects.toThrow(message);
});

test('a program that is not on PATH, or is named by a relative path, is not started', async () => {
  const missing = (name: string) => commandScore({ command: [name] }, rows);
  await expect(missing('no-such-program')).rejects.toThrow('there is no program no-such-program: name one by its');
  await expect(missing('./package.json')).rejects.toThrow('there is no program ./package.json');
});

test('a program that hangs is ended when its time is over, and when the work is stopped', async () => {
  const clock = new ManualClock();
  const late = commandScore({ command: ['sh', '-c', 'sleep 600'], seconds: 30 }, rows, { clock });
  const outcome = expect(late).rejects.toThrow('sh has not answered within 30 seconds (2 rows)');
  clock.advance(30_000);
  await outcome;
  const stop = new AbortController();
  const stopped = shell('sleep 600', { signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
});
