import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { asPrinted } from '../../../../tests/support/as-printed.js';
import { HubServer } from '../../../../tests/support/hub-server.js';
import { fixtures } from '../../../../tests/support/repository.js';
import { commandLine } from './main.js';
import { type PushFlags, pushVerb } from './push.js';
import { Terminal } from './terminal.js';

let hub: HubServer;
beforeAll(async () => {
  hub = await HubServer.start();
});
afterAll(() => hub[Symbol.asyncDispose]());

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'push-'));
  cpSync(join(fixtures, 'models/llama-tiny'), folder, { recursive: true });
  rmSync(join(folder, 'reference.safetensors'));
  writeFileSync(join(folder, 'README.md'), '# A model\n');
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_OFFLINE', '0');
  vi.stubEnv('HF_TOKEN', hub.writableFor);
  hub.requests.length = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Runs the verb with flags as they are typed. */
async function run(...given: string[]) {
  const written = { stdout: '', stderr: '' };
  const terminal = new Terminal({
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env: {},
  });
  const verb = commandLine(terminal).commands.find((command) => command.name() === 'push')!;
  verb.parseOptions(given);
  await pushVerb(folder, verb.opts<PushFlags>(), terminal);
  return written;
}

test('a dry run needs no repository; what sends does', async () => {
  const { stderr } = await run('--dry-run');
  expect(stderr).toContain('without --dry-run this model goes to the one that --to names, a repository that is made');
  await expect(run()).rejects.toThrow(/^push takes the repository to send to: --to owner\/name \(or --dry-run/);
  expect(hub.requests).toEqual([]);
});

test('a dry run lists files and sizes, what stays, and what is missing, and asks nothing, not even for a token', async () => {
  vi.stubEnv('HF_TOKEN', undefined);
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  const { stdout, stderr } = await run('--to', 'me/model@second', '--private', '--dry-run');
  expect(stdout).toMatch(/^README\.md +10 bytes\n/);
  expect(stdout).toMatch(/^model\.safetensors +[\d.]+ kB$/m);
  expect(stdout).toMatch(/^6 files in all +[\d.]+ kB\n$/m);
  expect(stderr.split('\n')).toEqual([
    'what stays here: reference.json',
    'note: README.md names no license: add a line such as license: apache-2.0 between its first two ---',
    'nothing was sent or asked: without --dry-run this model goes to me/model@second, a private repository that is made unless it is there',
    '',
  ]);
  expect(hub.requests).toEqual([]);
});

test('a push ends with the address of the model, and the next one says that all is there', async () => {
  const first = await run('--to', 'me/model', '--message', 'Mine');
  expect(first.stdout).toMatch(new RegExp(`\n${hub.endpoint}/me/model \\(commit [0-9a-f]{40}\\)\n$`));
  expect(first.stderr).toMatch(/made me\/model\npushing me\/model .*\n(.*\n)*sent 6 files\n$/);
  expect(first.stdout + first.stderr).not.toContain(hub.writableFor);
  const again = await run('--to', 'me/model');
  expect(again.stderr).toMatch(/\nme\/model has all of it already\n$/);
});

test('another model that is there is replaced with --force alone', async () => {
  hub.add('models/me/other', { revisions: { main: { 'config.json': '{}', 'adapter_config.json': '{}' } } });
  await expect(asPrinted(run('--to', 'me/other'))).rejects.toThrow(/or --force to replace them/);
  const { stderr } = await run('--to', 'me/other', '--force');
  expect(stderr).toMatch(/sent 6 files\nremoved of what was there: adapter_config\.json\n$/);
});
