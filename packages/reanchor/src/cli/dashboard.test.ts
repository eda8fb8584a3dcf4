import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import { serveDashboard } from '../serve/index.js';
import { dashboardVerb } from './dashboard.js';
import { Terminal } from './terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'dashboard-verb-'));

function recorder() {
  const written = { stdout: '', stderr: '' };
  const stop = new AbortController();
  const terminal = new Terminal({
    stdout: {
      write: (text) => {
        written.stdout += text;
      },
    },
    stderr: {
      write: (text) => {
        written.stderr += text;
      },
    },
    env: {},
  });
  return { written, terminal, stop };
}

test('prints an address that opens the page, and ends when it is told to', async () => {
  const { written, terminal, stop } = recorder();
  const ended = dashboardVerb(folder, { port: '0', host: '127.0.0.1' }, terminal, stop.signal);
  await expect.poll(() => written.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}\n$/);
  const url = written.stdout.trim();
  const page = await fetch(url);
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<script type="module"')]);
  expect((await fetch(url.replace(/\?.*/, 'api/runs'))).status).toBe(401);
  // An open stream does not keep it from ending.
  const stream = await fetch(url.replace('/?', '/api/stream?list=1&'));
  stop.abort();
  await ended;
  await stream.body!.cancel().catch(() => {});
  await expect(fetch(url)).rejects.toThrow();
  expect(written.stderr).not.toContain('warning');
});

test('says when others can reach it', async () => {
  const { written, terminal, stop } = recorder();
  stop.abort();
  await dashboardVerb(folder, { port: '0', host: '0.0.0.0' }, terminal, stop.signal);
  expect(written.stdout).toMatch(/^http:\/\/127\.0\.0\.1:/);
  expect(written.stderr).toContain('warning: other machines can reach it');
});

/** Runs `dashboard --open` with a PATH, until `isEnough`. */
async function openWith(path: string, isEnough: (written: { stdout: string; stderr: string }) => boolean) {
  vi.stubEnv('PATH', path);
  try {
    const { written, terminal, stop } = recorder();
    const ended = dashboardVerb(folder, { port: '0', host: '127.0.0.1', open: true }, terminal, stop.signal);
    await expect.poll(() => isEnough(written)).toBe(true);
    stop.abort();
    await ended;
    return written;
  } finally {
    vi.unstubAllEnvs();
  }
}

describe.skipIf(process.platform !== 'linux')('--open', () => {
  const opened = join(folder, 'opened');
  const program = (path: string, text: string) => {
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  };

  test('takes the browser from PATH, and not from the current folder', async () => {
    mkdirSync(join(folder, 'bin'));
    program(join(folder, 'xdg-open'), `echo wrong > '${opened}'`);
    program(join(folder, 'bin/xdg-open'), `echo right > '${opened}'`);
    const here = process.cwd();
    process.chdir(folder);
    try {
      await openWith('.', ({ stderr }) => stderr.includes('no browser could be opened: open the address above'));
      await openWith(`.:${folder}/bin`, () => existsSync(opened));
      await expect.poll(() => readFileSync(opened, 'utf8')).toBe('right\n');
    } finally {
      process.chdir(here);
    }
  });

  test('names the browser a file that this user alone can read, and no token, and removes it', async () => {
    const bin = mkdtempSync(join(folder, 'bin-'));
    const seen = join(bin, 'seen');
    program(
      join(bin, 'xdg-open'),
      `/bin/echo "$*" > '${seen}.part'
       /usr/bin/stat -c %a "$1" "\${1%/*}" >> '${seen}.part'
       /bin/cat "$1" >> '${seen}.part'
       /bin/mv '${seen}.part' '${seen}'`,
    );
    const umask = process.umask(0);
    const { stdout } = await openWith(bin, () => existsSync(seen)).finally(() => process.umask(umask));
    const [args, file, inFolder, ...page] = readFileSync(seen, 'utf8').split('\n');
    expect(args).toMatch(/reanchor-open-\w+\/dashboard\.html$/);
    expect(args).not.toContain(new URL(stdout).searchParams.get('token'));
    expect([file, inFolder]).toEqual(['600', '700']);
    expect(page.join('\n')).toContain(`<meta http-equiv="refresh" content="0; url=${stdout.trim()}">`);
    expect(existsSync(args!)).toBe(false);
  });
});

test.each([
  [{ port: '70000' }, folder, /--port: "70000" is not allowed; a whole number from 0 to 65535 is/],
  [{ port: 'x' }, folder, /--port/],
  [{ host: 'a b' }, folder, /--host: "a b" is no name or address/],
  [{}, join(folder, 'nowhere'), /nowhere does not exist: name a folder with run folders in it/],
  [{}, join(folder, 'file'), /file is a file: name a folder/],
])('%j on %s is an error', async (flags, runs, message) => {
  writeFileSync(join(folder, 'file'), '');
  const { terminal, stop } = recorder();
  const given = { port: '0', host: '127.0.0.1', ...flags };
  await expect(asPrinted(dashboardVerb(runs, given, terminal, stop.signal))).rejects.toThrow(message);
});

test('a port that is taken is told', async () => {
  await using first = await serveDashboard({ folder, port: 0 });
  const { terminal, stop } = recorder();
  const second = dashboardVerb(folder, { port: String(first.port), host: '127.0.0.1' }, terminal, stop.signal);
  await expect(asPrinted(second)).rejects.toThrow(/is taken: name another one with --port \(0: any free one\)/);
});
