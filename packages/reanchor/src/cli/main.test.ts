import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { RecipeError, UserError } from '../errors.js';
import { packageVersion } from '../version.js';
import { exitCodeOf, reportError } from './failure.js';
import { commandLine, main } from './main.js';
import { Terminal } from './terminal.js';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const mainFile = new URL('./main.ts', import.meta.url).href;

/** Runs the command in a process of its own, with no libtorch to be found. */
function reanchor(
  args: string[],
  {
    env = {},
    cwd = repository,
    stdout: out = 'pipe',
  }: { env?: Record<string, string>; cwd?: string; stdout?: 'pipe' | number } = {},
) {
  const launch = `import { main } from ${JSON.stringify(mainFile)}; await main(['node', 'reanchor', ...process.argv.slice(1)]);`;
  const tsx = import.meta.resolve('tsx');
  const options = ['--import', tsx, '--input-type=module', '--eval', launch, '--', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, options, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', out, 'pipe'],
    env: { ...process.env, REANCHOR_LIBTORCH: '/nonexistent', FORCE_COLOR: '', ...env },
  });
  return { status, stdout, stderr };
}

/** A terminal that keeps what is written. */
function recorder() {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  return { terminal, written };
}

/** Runs the command in this process. */
async function mainHere(args: string[]) {
  const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  await main(['node', 'reanchor', ...args]);
  const text = (spy: typeof stdout) => spy.mock.calls.map(([chunk]) => String(chunk)).join('');
  return { status: process.exitCode, stdout: text(stdout), stderr: text(stderr) };
}
afterEach(() => {
  vi.restoreAllMocks();
  // `main` is called once in a process, and here many times.
  process.stdout.removeAllListeners('error');
  process.exitCode = undefined;
});

describe('the command', () => {
  it('has these verbs and flags, and a new one is a decision', () => {
    const program = commandLine(recorder().terminal);
    const flags = Object.fromEntries(
      [program, ...program.commands].map((command) => [
        [command.name(), ...command.registeredArguments.map((argument) => argument.name())].join(' '),
        command.options.map((option) => option.flags),
      ]),
    );
    expect(flags).toEqual({
      reanchor: ['-V, --version'],
      setup: [],
      doctor: [],
      quickstart: ['--out <folder>', '--fast', '--seed <number>', '--threads <count>'],
      'train recipe': ['--set <key=value>', '--out <folder>', '--resume', '--processes <count>', '--profile <file>'],
      'sweep study': ['--out <folder>', '--jobs <count>', '--threads <count>', '--only <arm>', '--hours <count>'],
      'estimate recipe': [
        '--set <key=value>',
        '--processes <count>',
        '--link <name>',
        '--out <folder>',
        '--jobs <count>',
        '--json',
      ],
      'tokens recipe': ['--run <folder>', '--set <key=value>', '--rows <count>'],
      'explain key': ['--json'],
      'schema kind': ['--out <file>'],
      'from-trl file': ['--out <recipe>', '--trainer <name>', '--processes <count>'],
      score: [
        '--model <model>',
        '--adapter <adapter>',
        '--run <folder>',
        '--data <file...>',
        '--out <file>',
        '--reference <model>',
        '--reference-adapter <adapter>',
        '--beta <number>',
        '--max-length <tokens>',
        '--format <form>',
        '--chat-template <template>',
        '--keep-identical',
        '--device <device>',
        '--processes <count>',
      ],
      generate: [
        '--model <model>',
        '--adapter <adapter>',
        '--run <folder>',
        '--prompts <file>',
        '--out <file>',
        '--prompt <text>',
        '--chat-template <template>',
        '--max-new-tokens <count>',
        '--temperature <number>',
        '--top-k <count>',
        '--top-p <share>',
        '--samples <count>',
        '--seed <number>',
        '--batch-size <count>',
        '--stop <text>',
        '--device <device>',
        '--processes <count>',
      ],
      chat: [
        '--model <model>',
        '--adapter <adapter>',
        '--against <model>',
        '--against-adapter <adapter>',
        '--chat-template <template>',
        '--max-new-tokens <count>',
        '--temperature <number>',
        '--top-k <count>',
        '--top-p <share>',
        '--seed <number>',
        '--stop <text>',
        '--device <device>',
      ],
      merge: [
        '--model <model>',
        '--adapter <adapter>',
        '--out <folder>',
        '--dtype <type>',
        '--max-shard-size <size>',
        '--check <file...>',
        '--device <device>',
      ],
      'push folder': ['--to <repository>', '--private', '--message <text>', '--force', '--dry-run'],
      toy: [
        '--seeds <count>',
        '--steps <count>',
        '--beta <number>',
        '--method <name>',
        '--variants <set>',
        '--json <file>',
        '--plots <folder>',
      ],
      eval: [],
      'dashboard runs': ['--port <number>', '--host <address>', '--open'],
      cache: ['--clear', '--unused-for <days>', '--json'],
    });
  });

  it('prints help to stdout without libtorch', () => {
    const { status, stdout, stderr } = reanchor(['--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const verb of ['setup', 'doctor', 'train', 'score']) expect(stdout).toMatch(new RegExp(`^  ${verb} `, 'm'));
  });

  it('prints the keys of a recipe with the help of train', async () => {
    const { status, stdout } = await mainHere(['train', '--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}optimizer\.lr +number > 0 \(default: 0\.000001\)$/m);
    expect(stdout).toMatch(/^ {2}reference\.tau +integer >= 1 \| number in \(0, 1\) \(with update: hard \| mixed\)$/m);
  });

  it('prints its version', () => {
    expect(reanchor(['--version'])).toEqual({ status: 0, stdout: `${packageVersion()}\n`, stderr: '' });
  });

  it.each([['--help'], ['-h'], ['help']])('prints help when asked by %j', async (word) => {
    const { status, stdout, stderr } = await mainHere([word]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: reanchor .*\n(.*\n)* {2}train /);
  });

  it.each([['--version'], ['-V'], ['-v'], ['version']])('prints its version when asked by %j', async (word) => {
    expect(await mainHere([word])).toEqual({ status: 0, stdout: `${packageVersion()}\n`, stderr: '' });
  });

  it.each([
    [['help', 'train'], /^Usage: reanchor train /],
    [['train', '-h'], /^Usage: reanchor train /],
    [['train', '--help'], /^Usage: reanchor train /],
    [['help', 'eval'], /^Usage: reanchor eval /],
    [['eval', 'help'], /^Usage: reanchor eval /],
    [['eval', '-h'], /^Usage: reanchor eval /],
    [['eval', 'help', 'winrate'], /^Usage: reanchor eval winrate /],
    [['help', 'eval', 'winrate'], /^Usage: reanchor eval winrate /],
    [['eval', 'winrate', '-h'], /^Usage: reanchor eval winrate /],
  ])('prints help of a verb when asked by %j', async (words, usage) => {
    const { status, stdout, stderr } = await mainHere(words);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(usage);
  });

  it.skipIf(!existsSync('/dev/full'))('says so when what it prints finds no room, and ends with 1', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = reanchor(['--help'], { stdout: full });
    closeSync(full);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: what is printed cannot be written: the disk is full \(ENOSPC\): free some space/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('without a verb is wrong usage', async () => {
    const { status, stdout, stderr } = await mainHere([]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: reanchor/);
  });
});

describe('wrong usage ends with exit code 2', () => {
  it.each([
    [['trian', 'x'], /unknown command 'trian'\n\(Did you mean train\?\)/],
    [['train'], /missing required argument 'recipe'/],
    [['train', 'recipes/none.yaml'], /error: recipes\/none\.yaml does not exist/],
    [['score', '--model', 'm', '--out', 'o'], /--data is missing: name files of preference pairs/],
    [
      ['score', '--model', 'm', '--data', 'd', '--out', 'o', '--betta', '1'],
      /unknown option '--betta'\n\(Did you mean --beta\?\)/,
    ],
    [['score', '--model', 'm', '--data', 'd', '--out', 'o', '--beta', '1'], /--beta has no effect without --reference/],
    [
      ['score', '--model', 'm', '--data', 'd', '--out', 'o', '--max-length', 'long'],
      /--max-length: "long" is not allowed: maxLength is the number of tokens .*; allowed: integer >= 2/,
    ],
    [
      ['score', '--model', 'm', '--data', 'd', '--out', 'o', '--format', 'hhh'],
      /--format: "hhh" is not allowed: format is the form of a row; allowed: auto \| explicit \| implicit \| hh \| .*; did you mean hh\?/,
    ],
  ])('%j', async (args, message) => {
    const { status, stdout, stderr } = await mainHere(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it.each([
    [['\x1b[2Jtrain'], /unknown command '\\u001b\[2Jtrain'/],
    [['train', 'r.yaml', '--\x9b31m'], /unknown option '--\\u009b31m'/],
    [['train', 'r\x1b[31m\u202e.yaml'], /error: r\\u001b\[31m\\u202e\.yaml does not exist/],
    [['train', 'r.yaml', '--set', 'mo\x9bdel=x'], /r\.yaml does not exist/],
  ])('%j, without giving the terminal commands', async (args, message) => {
    const { status, stderr } = await mainHere(args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
  });

  it('for keys, values and the name of a recipe that would be commands of a terminal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'command-'));
    const file = join(folder, 'r\x1b]0;owned\x07.yaml');
    writeFileSync(file, 'mo\u202edel: "\\x9b2Jx"\nmethod: "\\e]0;owned\\a"\n"\\x9b31m": 1\ndata: { train: "\\x9d" }\n');
    const { status, stderr } = await mainHere(['train', file, '--set', 'seed=\x9b']);
    expect(status).toBe(2);
    for (const shown of ['mo\\u202edel', '\\u009b31m: unknown key', 'r\\u001b]0;owned\\u0007.yaml has', 'seed=\\u009b'])
      expect(stderr).toContain(shown);
    expect(stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
  });

  it('for a recipe with mistakes, all of them named, and makes nothing', () => {
    const folder = mkdtempSync(join(tmpdir(), 'command-'));
    writeFileSync(
      join(folder, 'r.yaml'),
      'model: m\nmethod: dpo\nreference: { update: soft, alpha: 2 }\ndata: { tain: x }\n',
    );
    const { status, stderr } = reanchor(['train', 'r.yaml', '--set', 'seed=-1'], { cwd: folder });
    expect(status).toBe(2);
    expect(stderr.split('\n')).toEqual([
      'error: r.yaml has 4 problems:',
      expect.stringMatching(/^ {2}reference.alpha: 2 is not allowed/),
      expect.stringMatching(/^ {2}data.train: missing/),
      expect.stringMatching(/^ {2}data.tain: unknown key; did you mean data.train\?/),
      expect.stringMatching(/^ {2}seed: -1 is not allowed.*\(--set seed=-1\)$/),
      '',
    ]);
    expect(readdirSync(folder)).toEqual(['r.yaml']);
    expect(reanchor(['train', 'r.yaml'], { cwd: folder, env: { REANCHOR_DEBUG: '1' } }).stderr).toMatch(
      /^ +at parseRecipe/m,
    );
  });
});

describe('an error', () => {
  const report = (error: unknown) => {
    const { terminal, written } = recorder();
    reportError(error, terminal, {});
    expect(written.stdout).toBe('');
    return written.stderr;
  };

  it('that somebody can mend is its message, without a stack', () => {
    expect(report(new UserError('the file is missing: make it'))).toBe('error: the file is missing: make it\n');
    const setup = Object.assign(new Error('no libtorch'), { name: 'SetupError' });
    expect(report(setup)).toBe('error: no libtorch\n');
    const disk = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    expect(report(disk)).toBe(`error: ${disk.message}\n`);
  });

  it('that names options of the library has the flags in their place, and keys of a recipe as they are', () => {
    const error = new UserError((option) =>
      ['maxLength', 'c', 'isDiscrete', 'baseUrl', 'data.maxLength'].map(option).join(' '),
    );
    expect(error.message).toBe('maxLength c isDiscrete baseUrl data.maxLength');
    expect(report(error)).toBe('error: --max-length --c --discrete --judge-url data.maxLength\n');
  });

  it.each([
    new RangeError('Array buffer allocation failed'),
    new RangeError('WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory for new instance'),
    Object.assign(new Error('Worker terminated due to reaching memory limit'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }),
    Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM', syscall: 'spawn' }),
    Object.assign(new Error('cannot load x.node: libtorch_cpu.so: failed to map segment'), { name: 'SetupError' }),
    Object.assign(new Error('aten::empty: words'), { outOfMemory: true }),
    new Error('x', { cause: new RangeError('Array buffer allocation failed') }),
  ])('of too little memory is no bug, and says what helps: %s', (error) => {
    const printed = report(error);
    expect(printed.startsWith(`error: ${error.message}: there is not enough memory. `)).toBe(true);
    expect(printed).toMatch(/raise the limit \(ulimit -v, or that of the container\)/);
    expect(printed).not.toContain('bug');
  });

  it('of a file of the command that is missing says what to run', () => {
    const error = Object.assign(new Error("Cannot find package 'x'"), { code: 'ERR_MODULE_NOT_FOUND' });
    expect(report(error)).toBe(
      `error: ${error.message}: reanchor is not whole. In a clone run npm ci, elsewhere npm install reanchor\n`,
    );
  });

  it('that nobody foresaw is called a bug and shows its stack', () => {
    const printed = report(new TypeError('x is not a function'));
    expect(printed).toMatch(/^error: x is not a function\nthis is a bug in reanchor: please report it/);
    expect(printed).toMatch(/^ +at /m);
    expect(report('a string')).toMatch(/^error: a string\n/);
  });

  it('has exit code 2 for wrong usage, 1 otherwise', () => {
    expect(exitCodeOf(new RecipeError('r.yaml', ['wrong']))).toBe(2);
    expect(exitCodeOf(new CommanderError(1, 'commander.unknownOption', ''))).toBe(2);
    expect(exitCodeOf(new CommanderError(0, 'commander.helpDisplayed', ''))).toBe(0);
    expect(exitCodeOf(new UserError('x'))).toBe(1);
    expect(exitCodeOf(new Error('x'))).toBe(1);
  });
});
