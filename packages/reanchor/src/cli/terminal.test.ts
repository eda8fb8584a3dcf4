import { describe, expect, it } from 'vitest';
import { downloadStatus } from './progress.js';
import { duration, shellWord, Terminal, table } from './terminal.js';

function recorder({
  isTTY,
  columns = 80,
  env = {},
}: {
  isTTY: boolean;
  columns?: number;
  env?: Record<string, string>;
}) {
  const clock = { ms: 0 };
  const written: string[] = [];
  const stderr = { write: (text: string) => written.push(text), isTTY, columns };
  const stdout = { write: (text: string) => written.push(`out:${text}`) };
  return { clock, written, terminal: new Terminal({ stdout, stderr, env, now: () => clock.ms }) };
}
const clear = '\r\x1b[2K';

describe('the status line', () => {
  it('on a terminal is rewritten in place, at most ten times a second', () => {
    const { terminal, written, clock } = recorder({ isTTY: true, env: { NO_COLOR: '1' } });
    terminal.status('one');
    terminal.status('two');
    clock.ms = 100;
    terminal.status('three');
    expect(written).toEqual([`${clear}one`, `${clear}three`]);
  });

  it('makes way for a line, and is left as a line at the end', () => {
    const { terminal, written } = recorder({ isTTY: true, env: { NO_COLOR: '1' } });
    terminal.status('one');
    terminal.note('note');
    terminal.status('two');
    terminal.endStatus();
    terminal.result('result');
    expect(written.join('')).toBe(`${clear}one${clear}note\n${clear}one${clear}two\nout:result\n`);
  });

  it('is cut to the width of the terminal', () => {
    const { terminal, written } = recorder({ isTTY: true, columns: 5, env: { NO_COLOR: '1' } });
    terminal.status('123456');
    expect(written).toEqual([`${clear}1234`]);
  });

  it('elsewhere is a plain line every five seconds, and the last one', () => {
    const { terminal, written, clock } = recorder({ isTTY: false });
    for (clock.ms = 0; clock.ms <= 11_000; clock.ms += 1000) terminal.status(`${clock.ms / 1000}`);
    terminal.endStatus();
    terminal.endStatus();
    expect(written).toEqual(['0\n', '5\n', '10\n', '11\n']);
  });
});

describe('colours', () => {
  const isColoured = (isTTY: boolean, env: Record<string, string>) =>
    recorder({ isTTY, env }).terminal.colors.red('x') !== 'x';

  it('are for terminals, and off with NO_COLOR', () => {
    expect(isColoured(true, {})).toBe(true);
    expect(isColoured(true, { NO_COLOR: '1' })).toBe(false);
    expect(isColoured(true, { TERM: 'dumb' })).toBe(false);
    expect(isColoured(false, {})).toBe(false);
    expect(isColoured(false, { FORCE_COLOR: '1' })).toBe(true);
    expect(isColoured(false, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  });
});

it('a table aligns its columns', () => {
  const rows = [
    ['', 'step 0', 'step 10'],
    ['accuracy', '0.5', '0.75'],
  ];
  expect(table(rows)).toEqual(['          step 0  step 10', 'accuracy     0.5     0.75']);
  expect(table(rows, 'left')).toEqual(['          step 0  step 10', 'accuracy  0.5     0.75']);
});

it('durations have one or two units', () => {
  expect([0, 59.4, 60, 725, 3599.6, 11_220].map(duration)).toEqual([
    '0s',
    '59s',
    '1m 00s',
    '12m 05s',
    '1h 00m',
    '3h 07m',
  ]);
});

it('words are quoted for the shell only where they must be', () => {
  expect(['a/b-c.yaml', 'a b', "it's", '', '$x'].map(shellWord)).toEqual([
    'a/b-c.yaml',
    "'a b'",
    "'it'\\''s'",
    "''",
    "'$x'",
  ]);
});

it('a download is told with bytes, rate and time left, and its last line stays', () => {
  const { terminal, written, clock } = recorder({ isTTY: false });
  const hear = downloadStatus(terminal, () => clock.ms);
  const at = (ms: number, done: number) => {
    clock.ms = ms;
    hear({ repository: 'some/model', file: 'model.safetensors', done, total: 6_000_000_000 });
  };
  at(0, 1_000_000_000);
  at(10_000, 1_500_000_000);
  at(100_000, 6_000_000_000);
  expect(written).toEqual([
    'downloading some/model  1.0 GB of 6.0 GB  model.safetensors\n',
    'downloading some/model  1.5 GB of 6.0 GB  50.0 MB/s  1m 30s left  model.safetensors\n',
    'downloading some/model  6.0 GB of 6.0 GB  50.0 MB/s  0s left  model.safetensors\n',
  ]);
});
