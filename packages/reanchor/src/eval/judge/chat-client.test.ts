import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ManualClock, until } from '../../../../../tests/support/manual-clock.js';
import { ChatClient, type ChatClientOptions } from './chat-client.js';
import { mapConcurrently } from './gate.js';
import { type Behaviour, testServer } from './testing/server.js';

const folder = mkdtempSync(join(tmpdir(), 'judge-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const newCache = () => join(folder, `cache-${files++}.jsonl`);
const secret = 'sk-test-0123456789abcdef-very-secret';

/** Opens a client whose waits before a further try are over at once; longer ones pass when the test says so. */
const open = (baseUrl: string, change: Partial<ChatClientOptions> = {}) =>
  ChatClient.open({
    ...{ baseUrl, model: 'judge', apiKey: secret, cacheFile: newCache(), backoffMs: 2, clock: new ManualClock(100) },
    ...change,
  });
const request = (content: string, attempt?: number) => ({
  messages: [{ role: 'user' as const, content }],
  temperature: 0,
  maxNewTokens: 50,
  attempt,
});
/** Answers in turn to the nth request of any prompt; the last one from then on. */
const inTurn =
  (...behaviours: Behaviour[]) =>
  ({ nth }: { nth: number }) =>
    behaviours[Math.min(nth, behaviours.length - 1)]!;
const readText = ({ text }: { text: string }) => (text === 'bad' ? { unparsed: 'is bad' } : { value: text });

describe('a request', () => {
  test('has model, messages and settings, and the key in its header alone', async () => {
    await using server = await testServer(() => ({ text: 'yes' }));
    await using client = await open(`${server.url}/`, { extra: { seed: 7, max_tokens: null } });
    expect(await client.complete({ ...request('hello'), topLogprobs: 5 })).toEqual({
      text: 'yes',
      finish: 'stop',
      model: 'served-model',
      tokens: undefined,
    });
    const [asked] = server.requests;
    expect(asked!.headers.authorization).toBe(`Bearer ${secret}`);
    expect(asked!.body).toEqual({
      model: 'judge',
      messages: [{ role: 'user', content: 'hello' }],
      temperature: 0,
      logprobs: true,
      top_logprobs: 5,
      seed: 7,
    });
    expect(client.server).toBe(new URL(server.url).origin);
  });

  test('needs no key', async () => {
    await using server = await testServer(() => ({ text: 'yes' }));
    await using client = await open(server.url, { apiKey: undefined });
    await client.complete(request('hello'));
    expect(server.requests[0]!.headers).not.toHaveProperty('authorization');
  });

  test('is asked once, however often it is wanted, at once or later; another attempt is another request', async () => {
    await using server = await testServer(({ nth }) => ({ text: `answer ${nth}` }));
    const cacheFile = newCache();
    {
      await using client = await open(server.url, { cacheFile });
      const replies = await Promise.all(Array.from({ length: 5 }, () => client.complete(request('same'))));
      expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
      expect(await client.complete(request('same'))).toMatchObject({ text: 'answer 0' });
    }
    await using again = await open(server.url, { cacheFile });
    expect(again.kept).toBe(1);
    expect(await again.complete(request('same'))).toMatchObject({ text: 'answer 0' });
    expect(server.requests).toHaveLength(1);
    expect(await again.complete(request('same', 1))).toMatchObject({ text: 'answer 1' });
    expect(await again.complete({ ...request('same'), temperature: 1 })).toMatchObject({ text: 'answer 2' });
  });

  test('waits its turn: never more under way than allowed', async () => {
    // Nobody is answered before three wait, or the last ones do.
    let waiting: (() => void)[] = [];
    const answer = () =>
      new Promise<Behaviour>((resolve) => {
        waiting.push(() => resolve({ text: 'yes' }));
        if (waiting.length < 3 && server.requests.length < 20) return;
        for (const reply of waiting) reply();
        waiting = [];
      });
    await using server = await testServer(answer);
    await using client = await open(server.url, { concurrency: 3 });
    await Promise.all(Array.from({ length: 20 }, (_, i) => client.complete(request(`p${i}`))));
    expect(server.requests).toHaveLength(20);
    expect(server.peak).toBe(3);
  });
});

describe('trouble that may pass', () => {
  const good: Behaviour = { text: 'yes' };
  test.each<[string, Behaviour[]]>([
    ['status 500 and 503', [{ status: 500 }, { status: 503, body: 'busy' }, good]],
    ['a body that breaks off', [{ cut: '{"choices": [{"mess' }, good]],
    ['a chunked body that breaks off', [{ cut: '{"choices"', chunked: true }, good]],
  ])('is tried again: %s', async (_, behaviours) => {
    await using server = await testServer(inTurn(...behaviours));
    await using client = await open(server.url);
    expect(await client.complete(request('p'))).toMatchObject({ text: 'yes' });
    expect(server.requests).toHaveLength(behaviours.length);
    expect(client.budget.calls).toBe(behaviours.length);
  });

  test.each<[string, Behaviour | Promise<Behaviour>]>([
    ['to begin', new Promise<Behaviour>(() => {})],
    ['to end', { cut: '{"choices"', stalls: true }],
  ])('an answer that takes too long %s is asked for again', async (_, slow) => {
    const clock = new ManualClock(100);
    await using server = await testServer(({ nth }) => (nth === 0 ? slow : good));
    await using client = await open(server.url, { timeoutMs: 600, clock });
    const asked = client.complete(request('p'));
    await until(() => server.requests.length === 1);
    clock.advance(600);
    expect(await asked).toMatchObject({ text: 'yes' });
    expect(server.requests).toHaveLength(2);
  });

  test('after 429 nobody asks before Retry-After is over', async () => {
    const clock = new ManualClock(100);
    const isHeld = () => clock.waits.filter((ms) => ms === 1000).length;
    await using server = await testServer(async ({ prompt, nth }) => {
      if (prompt === 'p0' && nth === 0) return { status: 429, headers: { 'retry-after': '1' } };
      // What is under way when the server asks for a pause is answered.
      await until(() => isHeld() > 0);
      return good;
    });
    await using client = await open(server.url, { concurrency: 2, clock });
    const asked = Promise.all(Array.from({ length: 6 }, (_, i) => client.complete(request(`p${i}`))));
    await until(() => isHeld() === 2);
    clock.advance(999);
    expect(server.requests).toHaveLength(2);
    clock.advance(1);
    await asked;
    expect(server.requests).toHaveLength(7);
  });

  test('Retry-After may be a date; a date that has passed is no wait', async () => {
    const past = { status: 429, headers: { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' } };
    await using server = await testServer(inTurn(past, good));
    await using client = await open(server.url);
    expect(await client.complete(request('p'))).toMatchObject({ text: 'yes' });
  });

  test('that does not pass stops the run and says how to go on; the rest is not asked', async () => {
    await using server = await testServer(() => ({ status: 502 }));
    await using client = await open(server.url, { retries: 2, concurrency: 1 });
    const asked = Array.from({ length: 5 }, (_, i) => client.complete(request(`p${i}`)));
    const outcomes = await Promise.allSettled(asked);
    expect(server.requests).toHaveLength(3);
    const reasons = outcomes.map((one) => one.status === 'rejected' && (one.reason as Error).message);
    expect(reasons[0]).toMatch(/failed 3 times \(status 502\).*kept; run the same command again to go on/);
    expect(new Set(reasons).size).toBe(1);
  });

  test('nobody at the address', async () => {
    const { url } = await (async () => {
      await using server = await testServer(() => good);
      return server;
    })();
    await using client = await open(url, { retries: 1 });
    await expect(client.complete(request('p'))).rejects.toThrow(/failed 2 times \(ECONNREFUSED\)/);
  });
});

describe('malformed answers are asked for once more, then unparsed, and not asked again', () => {
  test.each<[string, Behaviour, RegExp]>([
    ['broken JSON', { body: '{"choices": [' }, /not JSON/],
    [
      'a stream that was not asked for',
      { body: 'data: {"choices": []}\n\ndata: [DONE', type: 'text/event-stream' },
      /not JSON/,
    ],
    ['no choices', { body: '{"error": "overloaded"}' }, /no message/],
    ['null', { body: 'null' }, /no message/],
    ['another role', { text: 'yes', role: 'user' }, /not from the assistant/],
    ['no text', { body: '{"choices": [{"message": {"role": "assistant", "content": null}}]}' }, /no text/],
    ['a text that cannot be read', { text: 'bad' }, /is bad/],
  ])('%s', async (_, behaviour, reason) => {
    await using server = await testServer(() => behaviour);
    const cacheFile = newCache();
    {
      await using client = await open(server.url, { cacheFile });
      const outcome = await client.ask(request('p'), readText);
      expect(outcome).toMatchObject({ unparsed: expect.stringMatching(reason) });
    }
    expect(server.requests).toHaveLength(2);
    await using again = await open(server.url, { cacheFile });
    expect(await again.ask(request('p'), readText)).toMatchObject({ unparsed: expect.stringMatching(reason) });
    expect(server.requests).toHaveLength(2);
  });

  test('a good second answer counts; a message without a role is read', async () => {
    await using server = await testServer(inTurn({ text: 'bad' }, { text: 'good', role: null }));
    await using client = await open(server.url);
    expect(await client.ask(request('p'), readText)).toMatchObject({ value: 'good' });
  });

  test('a request that the server refuses among others is unparsed; as the first, it stops the run', async () => {
    await using server = await testServer(({ prompt }) =>
      prompt === 'too long' ? { status: 400, body: '{"error": "context length"}' } : { text: 'yes' },
    );
    await using client = await open(server.url, { concurrency: 1 });
    await client.complete(request('fine'));
    expect(await client.ask(request('too long'), readText)).toMatchObject({ unparsed: expect.stringContaining('400') });
    await using fresh = await open(server.url);
    await expect(fresh.complete(request('too long'))).rejects.toThrow(/refused \(status 400\).*"context length"/);
  });
});

test.each([
  [401, /refused \(status 401\): check the key/],
  [403, /status 403/],
  [404, /status 404.*check the URL/],
])('status %d stops at once', async (status, message) => {
  await using server = await testServer(() => ({ status }));
  await using client = await open(server.url);
  await expect(client.complete(request('p'))).rejects.toThrow(message);
  expect(server.requests).toHaveLength(1);
});

test('a redirect is not followed with the key, and named', async () => {
  await using other = await testServer(() => ({ text: 'stolen' }));
  await using server = await testServer(() => ({ status: 307, headers: { location: other.url } }));
  await using client = await open(server.url);
  await expect(client.complete(request('p'))).rejects.toThrow(`it redirects to ${other.url}: give that address`);
  expect(other.requests).toEqual([]);
});

test.each(['ftp://x', 'nonsense', 'http://user:pass@host/v1'])('the URL %s is refused', async (url) => {
  await expect(open(url)).rejects.toThrow(/needs a URL such as/);
});

test('a key with a line break is refused without being shown', async () => {
  const broken = `${secret}\nx`;
  const error = await open('http://127.0.0.1:1', { apiKey: broken }).catch((one: unknown) => one as Error);
  expect((error as Error).message).toMatch(/no key has/);
  expect((error as Error).message).not.toContain(secret);
});

describe('the budget', () => {
  test('of calls is never passed, retries included; what was answered is kept', async () => {
    await using server = await testServer(({ prompt, nth }) =>
      prompt === 'p1' && nth === 0 ? { status: 500 } : { text: 'yes' },
    );
    const cacheFile = newCache();
    const all = async (maxCalls?: number) => {
      await using client = await open(server.url, { cacheFile, maxCalls, concurrency: 2 });
      return await mapConcurrently([0, 1, 2, 3, 4, 5, 6, 7], 2, (i) => client.complete(request(`p${i}`)));
    };
    await expect(all(5)).rejects.toThrow(/budget of 5 calls is used up; allow more to go on/);
    expect(server.requests).toHaveLength(5);
    expect(await all()).toHaveLength(8);
    // 8 answers and the one failure.
    expect(server.requests).toHaveLength(9);
  });

  test('of tokens leaves room for the longest answer, and counts what the server says', async () => {
    await using server = await testServer(() => ({ text: 'yes', tokens: 30 }));
    await using client = await open(server.url, { maxTokens: 130, concurrency: 1 });
    // Each may need 51: three fit (30 + 30 + 51 <= 130), the fourth does not (90 + 51).
    for (const i of [0, 1, 2]) await client.complete(request(`p${i}`));
    expect(client.budget.tokens).toBe(90);
    await expect(client.complete(request('p3'))).rejects.toThrow(/130 tokens has no room.*90 are used.*may need 51/);
    expect(server.requests).toHaveLength(3);
  });
});

describe('the key is in no file and no message', () => {
  const everything = () =>
    readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');

  test('even if the server repeats it', async () => {
    await using server = await testServer(({ headers, prompt }) => {
      const repeated = `you sent ${headers.authorization}`;
      return prompt === 'refused' ? { status: 401, body: repeated } : { text: repeated };
    });
    await using client = await open(server.url);
    expect(await client.complete(request('p'))).toMatchObject({ text: 'you sent Bearer [key]' });
    await expect(client.complete(request('refused'))).rejects.toThrow(/it said: you sent Bearer \[key\]/);
    expect(everything()).toContain('you sent Bearer [key]');
    expect(everything()).not.toContain(secret);
  });

  test.each(['escaped', 'in tokens'])('even if the server spells it otherwise: %s', async (way) => {
    const logprobs = { content: [...secret].map((token) => ({ token, logprob: 0, top_logprobs: [] })) };
    const message = { role: 'assistant', content: way === 'escaped' ? 'KEY' : 'yes' };
    const codes = [...secret].map((letter) => `\\u00${letter.charCodeAt(0).toString(16)}`).join('');
    const body = JSON.stringify({ choices: [{ message, ...(way !== 'escaped' && { logprobs }) }] });
    await using server = await testServer(() => ({ body: body.replace('KEY', codes) }));
    await using client = await open(server.url);
    const reply = await client.complete(request('p'));
    if (way === 'escaped') expect(reply).toMatchObject({ text: '[key]' });
    else expect(reply).toEqual({ malformed: 'the reply has the key in it, spelled in another way' });
    expect(everything()).not.toContain(secret);
    expect(everything().replace(/[^a-z\d]/g, '')).not.toContain(secret.replaceAll('-', ''));
  });

  test('nor in the address that it redirects to', async () => {
    const location = `http://other.example/v1?key=${secret}&session=abc`;
    await using server = await testServer(() => ({ status: 307, headers: { location } }));
    await using client = await open(server.url);
    await expect(client.complete(request('p'))).rejects.toThrow(/redirects to http:\/\/other\.example\/v1: give/);
  });
});

test('a cache file with a line cut short is read, and goes on in a line of its own', async () => {
  await using server = await testServer(({ prompt }) => ({ text: `to ${prompt}` }));
  const cacheFile = newCache();
  const both = async () => {
    await using client = await open(server.url, { cacheFile });
    return [await client.complete(request('a')), await client.complete(request('b'))];
  };
  const replies = await both();
  const [first, second] = readFileSync(cacheFile, 'utf8').split('\n');
  writeFileSync(cacheFile, `${first}\n${second!.slice(0, 40)}`);
  expect(await both()).toEqual(replies);
  expect(server.counts).toEqual(
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  );
  expect(await both()).toEqual(replies);
  expect(server.requests).toHaveLength(3);
  appendFileSync(cacheFile, '\xff\n');
  expect(await both()).toEqual(replies);
});

test('a cache file that cannot be written is a user error', async () => {
  await expect(open('http://127.0.0.1:1', { cacheFile: join(folder, 'none/c.jsonl') })).rejects.toThrow(
    /c\.jsonl cannot be written: the folder .* does not exist/,
  );
});

test('killed midway, a run goes on where it was: nothing lost, nothing asked twice', async () => {
  const [total, concurrency, answered] = [60, 4, 24];
  let isKilled = false;
  await using server = await testServer(({ prompt }) => {
    const answer: Behaviour = { text: `to ${prompt}` };
    return isKilled || server.requests.length <= answered ? answer : new Promise<Behaviour>(() => {});
  });
  const cacheFile = newCache();
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', childProgram, server.url, cacheFile],
    { env: { ...process.env, JUDGE_KEY: secret, TOTAL: String(total) }, stdio: 'inherit' },
  );
  await until(() => server.requests.length === answered + concurrency);
  isKilled = true;
  child.kill('SIGKILL');
  await once(child, 'exit');
  const before = new Map(server.counts);
  const kept = readFileSync(cacheFile, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}')).length;
  // What was asked and is not kept was under way.
  expect(before.size).toBe(answered + concurrency);
  expect(kept).toBe(answered);

  await using client = await open(server.url, { cacheFile });
  expect(client.kept).toBe(kept);
  const replies = await mapConcurrently(Array.from({ length: total }), concurrency, (_, i) =>
    client.complete(request(`p${i}`)),
  );
  expect(replies.map((reply) => 'text' in reply && reply.text)).toEqual(replies.map((_, i) => `to p${i}`));
  expect(server.requests).toHaveLength(before.size + total - kept);
  expect(Math.max(...before.values())).toBe(1);
  expect(readFileSync(cacheFile, 'utf8')).not.toContain(secret);
});

const childProgram = `
import { ChatClient } from ${JSON.stringify(new URL('./chat-client.ts', import.meta.url).href)};
const [baseUrl, cacheFile] = process.argv.slice(1);
const client = await ChatClient.open({ baseUrl, model: 'judge', apiKey: process.env.JUDGE_KEY, cacheFile, concurrency: 4 });
await Promise.all(Array.from({ length: Number(process.env.TOTAL) }, (_, i) =>
  client.complete({ messages: [{ role: 'user', content: 'p' + i }], temperature: 0, maxNewTokens: 50 })));
`;
