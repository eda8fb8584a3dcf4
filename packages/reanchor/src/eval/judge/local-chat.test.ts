import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fixtures } from '../../../../../tests/support/repository.js';
import { commandLine } from '../../cli/main.js';
import { Terminal } from '../../cli/terminal.js';
import { UserError } from '../../errors.js';
import { LocalChat } from './local-chat.js';
import { ggufOf } from './testing/gguf.js';

const folder = mkdtempSync(join(tmpdir(), 'local-chat-'));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const file = at('tiny.gguf');
writeFileSync(file, await ggufOf(join(fixtures, 'models/llama-tiny')));
/** The package takes 725 MB; it is tried where somebody has installed it. */
const isInstalled = await import('node-llama-cpp').then(
  () => true,
  () => false,
);
const request = { messages: [{ role: 'user' as const, content: 'Which is better?' }], temperature: 0, maxNewTokens: 6 };

test('what is no model is an error that says so', async () => {
  writeFileSync(at('text.gguf'), 'not a model');
  writeFileSync(at('empty.gguf'), '');
  const open = (name: string) => LocalChat.open({ file: at(name), cacheFile: at('cache.jsonl') });
  await expect(open('text.gguf')).rejects.toThrow(/text\.gguf is no GGUF file/);
  await expect(open('empty.gguf')).rejects.toThrow(/empty\.gguf is empty/);
  await expect(open('none.gguf')).rejects.toThrow(/none\.gguf does not exist/);
});

test.skipIf(isInstalled)('without the package the error says how to get it', async () => {
  await using client = await LocalChat.open({ file, cacheFile: at('cache.jsonl') });
  await expect(client.complete(request)).rejects.toThrow(UserError);
  await expect(client.complete(request)).rejects.toThrow(
    /npm install node-llama-cpp@3\.\d+\.\d+, or run the model behind/,
  );
});

test('flags of a server are refused', async () => {
  const files = ['a', 'b'].map((name) => {
    writeFileSync(at(`${name}.jsonl`), JSON.stringify({ prompt: 'p', completion: name }));
    return at(`${name}.jsonl`);
  });
  const run = (...args: string[]) => {
    const quiet = { write: () => true };
    const terminal = new Terminal({ stdout: quiet, stderr: quiet, env: {} });
    const all = [
      'eval',
      'winrate',
      '--answers',
      ...files,
      '--judge-model',
      file,
      '--cache',
      at('cache.jsonl'),
      ...args,
    ];
    return commandLine(terminal).parseAsync(['node', 'reanchor', ...all]);
  };
  for (const [flag, value] of [
    ['--timeout', '5'],
    ['--budget-calls', '5'],
    ['--judge-set', 'seed=1'],
    ['--concurrency', '2'],
  ] as const) {
    await expect(run(flag, value)).rejects.toThrow(`${flag} has no effect on a judge that runs here`);
  }
});

describe.skipIf(!isInstalled)('a model in a file', () => {
  test('answers, the same again, and from the cache without the model', async () => {
    const cacheFile = at('answers.jsonl');
    let first: string;
    {
      await using client = await LocalChat.open({ file, cacheFile });
      const reply = await client.complete(request);
      if (!('text' in reply)) throw new Error(reply.malformed);
      first = reply.text;
      expect(reply.finish).toBe('length');
      expect(client.budget.calls).toBe(1);
      const other = { ...request, messages: [{ role: 'user' as const, content: 'Another question' }] };
      await Promise.all([client.complete(other), client.complete(request)]);
      expect(client.budget.calls).toBe(2);
    }
    await using again = await LocalChat.open({ file, cacheFile });
    expect(again.kept).toBe(2);
    expect(await again.complete(request)).toMatchObject({ text: first });
    expect(again.budget.calls).toBe(0);
    await using fresh = await LocalChat.open({ file, cacheFile: at('fresh.jsonl') });
    expect(await fresh.complete(request)).toMatchObject({ text: first });
    expect(readFileSync(cacheFile, 'utf8').trim().split('\n')).toHaveLength(2);
  });

  test('what does not fit in its context is malformed, and not cut', async () => {
    await using client = await LocalChat.open({ file, cacheFile: at('long.jsonl') });
    const long = { ...request, messages: [{ role: 'user' as const, content: 'word '.repeat(5000) }] };
    expect(await client.complete(long)).toEqual({ malformed: expect.stringMatching(/do not fit in a context of \d+/) });
    expect(client.budget.calls).toBe(0);
    const asked = await client.ask({ ...request, maxNewTokens: 4 }, () => ({ unparsed: 'no label' }));
    expect(asked).toMatchObject({ unparsed: 'no label', reply: { model: file } });
    // Asked twice, as of a server.
    expect(client.budget.calls).toBe(2);
  });

  test('that is broken says so', async () => {
    writeFileSync(at('cut.gguf'), readFileSync(file).subarray(0, 5000));
    await using client = await LocalChat.open({ file: at('cut.gguf'), cacheFile: at('cut.jsonl') });
    await expect(client.complete(request)).rejects.toThrow(/cut\.gguf cannot be loaded by node-llama-cpp/);
  });
});
