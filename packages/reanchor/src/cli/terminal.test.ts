// biome-ignore-all lint/suspicious/noTemplateCurlyInString: a recipe writes ${NAME} itself
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { downloadStatus } from './progress.js';
import { duration, printable, shellWord, Terminal, table } from './terminal.js';

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
  const stdout = { write: (text: string) => written.push(`out:${text}`), isTTY };
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

describe('what others wrote', () => {
  const hostile = '\x1b[2J\x1b]0;owned\x07\x9b31m\x9d0;x\x9c\u202egnp.exe\u2066\u2028\x7f\b\rerror: all is well';
  const commands = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

  it.each([true, false])('is no command, in lines, results, the status and tables (terminal: %s)', (isTTY) => {
    const { terminal, written } = recorder({ isTTY, columns: 500, env: { NO_COLOR: '1' } });
    terminal.note(hostile);
    terminal.result(hostile);
    for (const row of table([[hostile, 'a']])) terminal.result(row);
    terminal.status(`${hostile}\nof two lines`);
    terminal.endStatus();
    const text = written.join('').replaceAll(clear, '');
    expect(text.match(commands)).toBeNull();
    expect(text.split('\\u009b31m')).toHaveLength(5);
    expect(text).toContain('\\u202egnp.exe\\u2066\\u2028\\u007f\\u0008\\u000derror: all is well of two lines\n');
  });

  it('is shown as JSON escapes it, and tabs, line feeds and letters of any script stay', () => {
    const text = 'a\tb\r\nc \u05e9\u05dc\u05d5\u05dd \u2764\ufe0f\u200d\u{1f525} \x1b';
    expect(printable(text)).toBe(text.replace('\r\n', '\n').replace('\x1b', '\\u001b'));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = JSON.stringify(value);
        expect(printable(json)).not.toMatch(commands);
        expect(JSON.parse(printable(json))).toEqual(JSON.parse(json));
      }),
    );
  });

  it.each(['1', undefined])('has no colours of its own beside ours (NO_COLOR: %s)', (NO_COLOR) => {
    const { terminal, written } = recorder({ isTTY: true, env: NO_COLOR ? { NO_COLOR } : {} });
    terminal.note(`${terminal.colors.red('error: \x1b[8mhidden')} \x1b[31mred`);
    const ours = NO_COLOR ? (text: string) => text : (text: string) => `\x1b[31m${text}\x1b[39m`;
    expect(written.join('')).toBe(`${ours('error: \\u001b[8mhidden')} \\u001b[31mred\n`);
  });

  it('of a model is shown so on a terminal, and goes into a pipe as it is', () => {
    const onTerminal = recorder({ isTTY: true });
    onTerminal.terminal.stream('a\n\x1b[31mb');
    expect(onTerminal.written).toEqual(['out:a\n\\u001b[31mb']);
    const inPipe = recorder({ isTTY: false });
    inPipe.terminal.stream(hostile);
    expect(inPipe.written).toEqual([`out:${hostile}`]);
  });

  it('has no passwords of addresses, nor what was to be concealed', () => {
    const { terminal, written } = recorder({ isTTY: false });
    terminal.conceal((text) => text.replaceAll('/private', '${DATA}'));
    terminal.note('the proxy http://me:pa@ss@host:3128/x, and /private/rows.jsonl');
    terminal.result('/private/model');
    terminal.status('reading /private/rows.jsonl');
    expect(written).toEqual([
      'the proxy http://[hidden]@host:3128/x, and ${DATA}/rows.jsonl\n',
      'out:${DATA}/model\n',
      'reading ${DATA}/rows.jsonl\n',
    ]);
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
