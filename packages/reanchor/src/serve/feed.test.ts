import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { expect, test } from 'vitest';
import { ManualClock, until } from '../../../../tests/support/manual-clock.js';
import { encodeEvent } from '../runs/index.js';
import type { ListPatch, RunList } from './api.js';
import { Feed, type Message, sendFeeds } from './feed.js';
import { Feeds } from './feeds.js';
import { Library } from './library.js';
import { ServedFolder } from './served-folder.js';
import { parsed } from './testing/messages.js';

/** Says each number once; the whole is the newest one. */
class Counter extends Feed {
  looks = 0;
  size = 1;

  protected async look(): Promise<number> {
    this.looks += 1;
    this.publish(this.looks === 1 ? undefined : Buffer.alloc(this.size, `+${this.looks}`));
    return 1000;
  }

  protected whole(): Message {
    return Buffer.from(`=${this.count}`);
  }
}

const text = (messages: readonly Message[]) => messages.map((message) => Buffer.from(message).toString());

/** One who reads: `read` lets him have a message, for which he waits otherwise. */
function reader(feed: Feed, isSlow = false) {
  const stop = new AbortController();
  const got: string[] = [];
  let read = () => {};
  const ended = sendFeeds([feed], stop.signal, async (message) => {
    got.push(...text([message]));
    if (isSlow) await new Promise<void>((resolve) => (read = resolve));
  });
  return { got, read: () => read(), stop: () => stop.abort(), ended };
}

test('looks once for all readers, and only while there are any', async () => {
  const clock = new ManualClock();
  const feed = new Counter(clock);
  const readers = Array.from({ length: 40 }, () => reader(feed));
  await clock.elapse(0);
  await clock.elapse(3000);
  expect(feed.looks).toBe(4);
  for (const { got } of readers) expect(got).toEqual(['=1', '+', '+', '+']);
  const late = reader(feed);
  await clock.elapse(0);
  expect(late.got).toEqual(['=4']);
  for (const { stop } of [...readers, late]) stop();
  await Promise.all([...readers, late].map(({ ended }) => ended));
  await clock.elapse(10_000);
  expect([feed.looks, clock.sleeping, feed.isOver]).toEqual([4, 0, true]);
});

test('a slow reader gets what it lacks when it has read, and the whole when that is too much', async () => {
  const clock = new ManualClock();
  const feed = new Counter(clock);
  const slow = reader(feed, true);
  await clock.elapse(0);
  await clock.elapse(5000);
  expect(slow.got).toEqual(['=1']);
  for (let i = 2; i <= 6; i++) {
    slow.read();
    await until(() => slow.got.length === i);
  }
  expect(slow.got).toEqual(['=1', '+', '+', '+', '+', '+']);
  feed.size = 1 << 20;
  await clock.elapse(6000);
  slow.read();
  await until(() => slow.got.length === 7);
  expect(slow.got[6]).toBe('=12');
  slow.stop();
  slow.read();
  await slow.ended;
});

test('a look that fails ends the streams, and another feed takes its place', async () => {
  const library = new Library(await ServedFolder.at(mkdtempSync(join(tmpdir(), 'feeds-'))));
  library.list = async () => {
    throw new Error('internal: no list');
  };
  const feeds = new Feeds(library, new ManualClock());
  const feed = feeds.list();
  expect(feeds.list()).toBe(feed);
  await expect(sendFeeds([feed], new AbortController().signal, async () => {})).rejects.toThrow('internal: no list');
  expect(feeds.list()).not.toBe(feed);
});

test.each([
  [10, 1500],
  [300, 3000],
  [4000, 5000],
])('after a look at the list of %s ms the next one is %s ms later', async (lookMs, pauseMs) => {
  const library = new Library(await ServedFolder.at(mkdtempSync(join(tmpdir(), 'feeds-'))));
  const clock = new ManualClock();
  library.list = async () => {
    clock.advance(lookMs);
    return { folder: 'runs', runs: [], notes: [], results: [], studies: [] };
  };
  const { got, stop, ended } = reader(new Feeds(library, clock).list());
  await until(() => clock.sleeping === 1);
  expect([got.length, clock.waits]).toEqual([1, [pauseMs]]);
  stop();
  await ended;
});

test('of a list of many runs that which has changed is sent, and nothing of the others is read again', async () => {
  const root = mkdtempSync(join(tmpdir(), 'feeds-'));
  const step = (step: number) =>
    `${encodeEvent({ time: '2026-01-02T03:04:05.678Z', type: 'step', step, epoch: 1, metrics: { loss: step } })}\n`;
  mkdirSync(join(root, 'run-0'));
  writeFileSync(join(root, 'run-0/run.json'), '{}');
  writeFileSync(join(root, 'run-0/events.jsonl'), step(1));
  for (let i = 1; i < 30; i++) cpSync(join(root, 'run-0'), join(root, `run-${i}`), { recursive: true });
  const folder = await ServedFolder.at(root);
  const opened: string[] = [];
  const { open } = folder;
  folder.open = (path) => {
    opened.push(relative(root, path));
    return open.call(folder, path);
  };
  const clock = new ManualClock();
  // By a time at which what has been written shows in the times of files.
  const feed = new Feeds(new Library(folder, () => Date.now() + 60_000), clock).list();
  const { got, stop, ended } = reader(feed);
  await until(() => got.length === 1);
  expect((parsed(Buffer.from(got[0]!))[1] as RunList).runs).toHaveLength(30);

  appendFileSync(join(root, 'run-7/events.jsonl'), step(2));
  rmSync(join(root, 'run-8'), { recursive: true });
  opened.length = 0;
  while (got.length === 1) await clock.elapse(1500);
  const [name, patch] = parsed(Buffer.from(got[1]!)) as ['listPatch', ListPatch];
  expect([name, patch.gone, patch.runs.map(({ id }) => id)]).toEqual(['listPatch', ['run-8'], ['run-7']]);
  expect(patch.runs[0]!.step).toBe(2);
  expect(new Set(opened.map((path) => path.split(sep)[0]))).toEqual(new Set(['run-7']));
  // Nothing new, nothing to send.
  for (let i = 0; i < 3; i++) await clock.elapse(1500);
  expect(got).toHaveLength(2);
  stop();
  await ended;
});
