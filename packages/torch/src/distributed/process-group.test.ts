// Four processes on this machine, gloo, one store that this process holds. The tests are in an order: the last ones end
// a process.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backends, type GroupOptions, ProcessGroup, TcpStore, tensor, tidy, zeros } from '../index.js';
import { scratch } from '../testing/fakes.js';
import { errorOf, Ranks } from '../testing/ranks.js';

let ranks: Ranks;
let store: TcpStore;
let names = 0;

beforeAll(async () => {
  store = TcpStore.host();
  ranks = await Ranks.start(4);
  await ranks.all(4, 'connect', store.port);
});

afterAll(() => {
  ranks?.end();
  store?.close();
});

test('a group of one process needs no store, and its calls copy', () => {
  tidy(() => {
    using group = ProcessGroup.alone();
    const given = tensor([1, 2, 3]);
    const whole = zeros([1, 3]);
    const results = [group.allReduce(given), group.allGather(given), group.reduceScatter(given)].map((p) => p.wait());
    group.allGatherInto(whole, given).wait();
    for (const result of [...results, whole]) expect(result.toList()).toEqual([1, 2, 3]);
    given.zero_();
    for (const result of [...results, whole]) expect(result.toList()).toEqual([1, 2, 3]);
    expect([group.allReduce_(given), group.broadcast_(given)].map((p) => p.wait())).toEqual([given, given]);
    expect(Array.from(group.sum([4, 5]))).toEqual([4, 5]);
    group.barrier();
    expect([group.rank, group.world]).toEqual([0, 1]);
  });
});

test('ranks, names, backends and devices that are none are refused before anybody waits', async () => {
  const refused = async (options: Partial<GroupOptions>) =>
    ProcessGroup.open({ store, rank: 0, world: 2, ...options }).then(
      () => 'opened',
      ({ message }: Error) => message,
    );
  expect(await refused({ rank: 2 })).toBe('a rank of 2 processes is an integer from 0 to 1, got 2');
  expect(await refused({ world: 0 })).toBe('world is the number of processes, got 0');
  expect(await refused({ name: 'a/b' })).toBe('the name of a group has letters, digits and . _ - alone: a/b');
  expect(await refused({ timeoutSeconds: -1 })).toMatch(/timeoutSeconds is a number from 0.001/);
  expect(await refused({ backend: 'nccl' })).toBe("nccl needs the device of this rank, as in 'cuda:0'");
  if (!backends().includes('nccl')) {
    const words = await refused({ backend: 'nccl', device: 'cuda:0' });
    expect(words).toBe('ProcessGroup.open: the addon was compiled without nccl: npx reanchor doctor says why');
  }
});

/** Opens a group of the first processes, and returns its name. */
async function open(world: number, options: { timeoutSeconds?: number; checks?: 'all' | 'new' } = {}): Promise<string> {
  const name = `group-${names++}`;
  await ranks.all(world, 'open', { name, world, ...options });
  return name;
}

const sumOver = (world: number, value: (rank: number) => number) =>
  Array.from({ length: world }, (_, rank) => value(rank)).reduce((a, b) => a + b, 0);

describe.each([2, 4])('%i processes', (world) => {
  test('collectives are exact in every dtype', async () => {
    const name = await open(world);
    const element = (i: number) => (rank: number) => 4 * rank + i + 1;
    const places = (n: number) => Array.from({ length: n }, (_, i) => i);
    const all = Array.from({ length: world }, (_, rank) => rank);
    for (const dtype of ['float64', 'float32', 'bfloat16', 'int64'] as const) {
      const results = await ranks.all(world, 'everything', name, dtype);
      for (const [rank, result] of results.entries()) {
        expect(result, dtype).toEqual({
          sum: places(2).map((i) => sumOver(world, element(i))),
          max: places(2).map((i) => element(i)(world - 1)),
          min: places(2).map((i) => element(i)(0)),
          product: [all.reduce((product, rank) => product * (rank + 1), 1), 2 ** world],
          inPlace: places(2).map((i) => sumOver(world, element(i))),
          gathered: all.flatMap((r) => places(2).map((i) => element(i)(r))),
          into: all.flatMap((r) => places(2).map((i) => element(i)(r))),
          scattered: places(2).map((i) => sumOver(world, element(2 * rank + i))),
          broadcast: places(3).map((i) => element(i)(world - 1)),
          numbers: results[0]!.numbers,
          dtypes: 1,
        });
        expect(result.numbers[0]).toBeCloseTo(
          sumOver(world, (r) => r + 0.1),
          14,
        );
      }
    }
    expect(await ranks.all(world, 'average', name)).toEqual(all.map(() => [(world - 1) / 2, 1]));
    await ranks.all(world, 'close', name);
  });

  test('what lies in memory in another order is given, and taken, by its rows', async () => {
    const name = await open(2);
    const [first, second] = await ranks.all(2, 'transposed', name);
    const gathered = [1, 3, 2, 4, 5, 7, 6, 8];
    expect(first).toEqual([[6, 10, 8, 12], gathered, [6, 10]]);
    expect(second).toEqual([[6, 10, 8, 12], gathered, [8, 12]]);
    await ranks.all(2, 'close', name);
  });

  test('many are under way at once, and are waited for in any order', async () => {
    const name = await open(world);
    const sums = Array.from({ length: 8 }, (_, i) => sumOver(world, (rank) => 4 * rank + i + 1));
    expect(await ranks.all(world, 'manyAtOnce', name)).toEqual(Array(world).fill(sums));
    await ranks.all(world, 'close', name);
  });

  test('weights are gathered into memory that comes and goes, and seen through their views', async () => {
    const name = await open(world);
    const once = Array.from({ length: world }, (_, rank) => [4 * rank + 1, 4 * rank + 2]).flat();
    const expected = [once, once.map((value) => 2 * value)];
    expect(await ranks.all(world, 'weightsThatComeAndGo', name)).toEqual(Array(world).fill(expected));
    await ranks.all(world, 'close', name);
  });

  test('close() waits for all that was issued', async () => {
    const name = await open(world);
    const sums = Array.from({ length: 4 }, (_, i) => sumOver(world, (rank) => 4 * rank + i + 1));
    expect(await ranks.all(world, 'closeAtOnce', name)).toEqual(Array(world).fill(sums.map((s) => [s, s])));
    expect((await errorOf(ranks.run(0, 'barrier', name))).message).toMatch(/the group was closed/);
  });
});

test('a call that was waited for leaves no tensor behind', async () => {
  const name = await open(2);
  expect(await ranks.all(2, 'leak', name)).toEqual([0, 0]);
  await ranks.all(2, 'close', name);
});

test('two groups side by side, and one over a file', async () => {
  const folder = scratch();
  const [two, four] = [await open(2), await open(4)];
  await ranks.all(2, 'open', { name: 'by-file', world: 2, file: join(folder, 'store') });
  expect(await ranks.all(2, 'sum', two, [1])).toEqual([[2], [2]]);
  expect(await ranks.all(4, 'sum', four, [1])).toEqual([[4], [4], [4], [4]]);
  expect(await ranks.all(2, 'sum', 'by-file', [3])).toEqual([[6], [6]]);
  for (const name of [two, 'by-file']) await ranks.all(2, 'close', name);
  await ranks.all(4, 'close', four);
  rmSync(folder, { recursive: true });
});

describe('groups that are split from one', () => {
  const halves = [
    [0, 1],
    [2, 3],
  ];
  const alike = [
    [0, 2],
    [3, 1],
  ];
  const partOf = (parts: readonly number[][], rank: number) => parts.find((part) => part.includes(rank))!;

  test('each rank is in two of them, and their sums are of their ranks', async () => {
    const name = await open(4);
    const split = (parts: readonly number[][], part: string) =>
      Promise.all([0, 1, 2, 3].map((rank) => ranks.run(rank, 'split', name, partOf(parts, rank), part)));
    expect(await split(halves, 'half')).toEqual([
      [0, 2],
      [1, 2],
      [0, 2],
      [1, 2],
    ]);
    expect(await split(alike, 'alike')).toEqual([
      [0, 2],
      [1, 2],
      [1, 2],
      [0, 2],
    ]);
    for (const [parts, part] of [
      [halves, 'half'],
      [alike, 'alike'],
    ] as const) {
      const sums = [0, 1, 2, 3].map((rank) => ranks.run(rank, 'sum', `${name}.${part}`, [10 ** rank]));
      const expected = [0, 1, 2, 3].map((rank) => [partOf(parts, rank).reduce((sum, peer) => sum + 10 ** peer, 0)]);
      expect(await Promise.all(sums)).toEqual(expected);
    }
    expect(await ranks.all(4, 'sum', name, [1])).toEqual([[4], [4], [4], [4]]);
    for (const group of [`${name}.half`, `${name}.alike`, name]) await ranks.all(4, 'close', group);
  });

  test('a group without this rank, or with one twice, is refused', async () => {
    const name = await open(2);
    for (const given of [[1], [0, 0]]) {
      const { message } = await errorOf(ranks.run(0, 'split', name, given, 'part'));
      expect(message).toMatch(/rank 0 is to be among the ranks of its group, each once: /);
    }
    expect((await errorOf(ranks.run(0, 'split', name, [0, 2], 'part'))).message).toMatch(/from 0 to 1, got 2/);
    await ranks.all(2, 'close', name);
  });

  test('what ends a rank is known in all groups, by its number among all', async () => {
    const name = await open(4);
    await Promise.all([0, 1, 2, 3].map((rank) => ranks.run(rank, 'split', name, partOf(halves, rank), 'half')));
    // Ranks 0 and 1 do not wait for rank 3 in any call, and are told all the same.
    const errors = [
      errorOf(ranks.run(2, 'sum', `${name}.half`, [1])),
      ...[0, 1].map((rank) => errorOf(ranks.run(rank, 'sum', name, [1]))),
    ];
    await ranks.run(3, 'fail', `${name}.half`, 'the disk is full');
    for (const { message, peers } of await Promise.all(errors)) {
      expect(message).toMatch(/Rank 3 said: the disk is full$/);
      expect(peers).toEqual([3]);
    }
    expect((await errorOf(ranks.run(0, 'barrier', `${name}.half`))).message).toMatch(/this group failed before/);
    for (const group of [`${name}.half`, name]) await ranks.all(4, 'close', group);
  });
});

describe('ranks that disagree', () => {
  test('unequal sizes, dtypes, operations and sources are told to all, and the group goes on', async () => {
    const name = await open(4);
    const differing: [(rank: number) => Promise<unknown>, RegExp][] = [
      [
        (rank) => ranks.run(rank, 'allReduce', name, rank === 2 ? 5 : 3, 'float32'),
        /ranks 0, 1, 3: call 1, allReduce \(sum\) of 3 float32; rank 2: call 1, allReduce \(sum\) of 5 float32/,
      ],
      [
        (rank) => ranks.run(rank, 'allReduce', name, 3, rank === 2 ? 'float64' : 'float32'),
        /3 float32; rank 2: call 2, allReduce \(sum\) of 3 float64/,
      ],
      [
        (rank) => (rank === 2 ? ranks.run(rank, 'barrier', name) : ranks.run(rank, 'allReduce', name, 3, 'float32')),
        /3 float32; rank 2: call 3, barrier/,
      ],
      [
        (rank) => ranks.run(rank, 'broadcast', name, rank === 2 ? 1 : 0),
        /broadcast from rank 0 of 2 float32; rank 2: call 4, broadcast from rank 1 of 2 float32/,
      ],
      [
        (rank) => ranks.run(rank, 'sum', name, rank === 2 ? [1, 2] : [1]),
        /sum of 1 float64; rank 2: call 5, sum of 2 float64/,
      ],
    ];
    for (const [call, words] of differing) {
      const errors = await Promise.all([0, 1, 2, 3].map((rank) => errorOf(call(rank))));
      for (const [rank, { kind, message, peers, seconds }] of errors.entries()) {
        expect([kind, peers]).toEqual(['DistributedError', rank === 2 ? [0, 1, 3] : [2]]);
        expect(message).toMatch(words);
        expect(message).toMatch(new RegExp(`^rank ${rank} of 4 \\(group ${name}\\), \\w+.*Nothing was sent$`));
        expect(seconds).toBeLessThan(10);
      }
    }
    expect(await ranks.all(4, 'sum', name, [1])).toEqual([[4], [4], [4], [4]]);
    await ranks.all(4, 'close', name);
  });

  test('a call that one rank refuses is told to the others', async () => {
    const name = await open(2);
    for (const [task, words] of [
      ['reduceInPlaceOfColumns', /Tensor\(float32\[2, 2\]\) is written to, and has to be contiguous/],
      ['gatherIntoTooLittle', /Tensor\(float32\[3\]\) cannot hold 2 slices like Tensor\(float32\[2\]\)/],
    ] as const) {
      const errors = [errorOf(ranks.run(0, task, name)), errorOf(ranks.run(1, 'barrier', name))];
      const [refusing, other] = await Promise.all(errors);
      expect(refusing!.message).toMatch(words);
      expect(other!.message).toMatch(/rank 0: call \d, all\w+.*, which it refuses; rank 1: call \d, barrier/);
      expect(other!.peers).toEqual([0]);
    }
    expect(await ranks.all(2, 'sum', name, [1])).toEqual([[2], [2]]);
    await ranks.all(2, 'close', name);
  });

  test('checks: new compares a call of a new size, and a known one no more', async () => {
    const name = await open(2, { checks: 'new' });
    for (let i = 0; i < 2; i++) expect(await ranks.all(2, 'allReduce', name, 1, 'float64')).toEqual([[6], [6]]);
    const errors = [0, 1].map((rank) => errorOf(ranks.run(rank, 'allReduce', name, 2 + rank, 'float64')));
    for (const { message } of await Promise.all(errors)) {
      expect(message).toMatch(/rank 0: call 3, allReduce \(sum\) of 2 float64; rank 1: call 3, .* of 3 float64/);
    }
    const refusing = errorOf(ranks.run(0, 'gatherIntoTooLittle', name));
    expect((await errorOf(ranks.run(1, 'barrier', name))).message).toMatch(/Rank 0 said: allGather: .* cannot hold/);
    expect((await refusing).message).toMatch(/allGather\(float32\[2\]\): .* cannot hold 2 slices/);
    await ranks.all(2, 'close', name);
  });
});

describe('ranks that are missing', () => {
  test('fewer than announced: those that did not come are named', async () => {
    const errors = [0, 1].map((rank) =>
      errorOf(ranks.run(rank, 'open', { name: 'too-few', world: 4, openSeconds: 0.5 })),
    );
    for (const [rank, { message, peers }] of (await Promise.all(errors)).entries()) {
      expect(message).toMatch(
        `rank ${rank} of 4 (group too-few), ProcessGroup.open: ranks 2, 3 did not come within 0.5 s`,
      );
      expect(peers).toEqual([2, 3]);
    }
  });

  test('a rank that is there twice, and ranks that want other groups, are told', async () => {
    const twice = await errorOf(ranks.run(1, 'open', { name: 'too-few', world: 4 }));
    expect(twice.message).toMatch(/two processes have this rank, or the store has had a group of this name before/);
    const errors = [
      errorOf(ranks.run(0, 'open', { name: 'unlike', world: 3, timeoutSeconds: 0.5 })),
      errorOf(ranks.run(1, 'open', { name: 'unlike', world: 2, timeoutSeconds: 0.5 })),
    ];
    const [first, second] = await Promise.all(errors);
    expect(first!.message).toMatch(/this rank wants 3 ranks by gloo, and rank 1 2 ranks by gloo/);
    expect(second!.message).toMatch(/this rank wants 2 ranks by gloo, and rank 0 3 ranks by gloo/);
    expect(second!.seconds).toBeLessThan(first!.seconds);
  });

  test('a rank that says why it stops ends the calls of the others with its words', async () => {
    const name = await open(4);
    const errors = [0, 1, 3].map((rank) => errorOf(ranks.run(rank, 'sum', name, [1])));
    await ranks.run(2, 'fail', name, 'the disk is full');
    for (const { message, peers, seconds } of await Promise.all(errors)) {
      expect(message).toMatch(/sum\(1 numbers\): .*Connection.* Rank 2 said: the disk is full$/s);
      expect(peers).toEqual([2]);
      expect(seconds).toBeLessThan(10);
    }
    const again = await errorOf(ranks.run(0, 'barrier', name));
    expect(again.message).toMatch(/this group failed before, .*Rank 2 said: the disk is full/s);
    await ranks.all(4, 'close', name);
  });

  test('a rank that stops as soon as it is connected has cut nobody short, or leaves its words', async () => {
    for (let i = 0; i < 20; i++) {
      const name = `hasty-${i}`;
      const opened = [1, 2, 3].map((rank) => ranks.run(rank, 'open', { name, world: 4 }).then(() => '', String));
      await ranks.run(0, 'open', { name, world: 4 }, 'batch.size is 2');
      for (const error of await Promise.all(opened)) expect(error).toMatch(/^$|Rank 0 said: batch.size is 2/);
      for (const rank of [0, 1, 2, 3]) await ranks.run(rank, 'close', name).catch(() => {});
    }
  });

  test('a rank that hangs costs the timeout, and is named', async () => {
    const name = await open(4, { timeoutSeconds: 1.5 });
    const hung = ranks.run(3, 'hang', 3500);
    const errors = [0, 1, 2].map((rank) => errorOf(ranks.run(rank, 'allReduce', name, 3, 'float32')));
    for (const { message, peers, seconds } of await Promise.all(errors)) {
      expect(message).toMatch(
        /allReduce\(float32\[3\]\): .*There is no word from rank 3: killed, hung or still at work/s,
      );
      expect(peers).toEqual([3]);
      expect(seconds).toBeLessThan(10);
    }
    await hung;
    expect((await errorOf(ranks.run(3, 'barrier', name))).kind).toBe('DistributedError');
    await ranks.all(4, 'close', name);
  });

  test('a rank that is killed is noticed at once, and named', async () => {
    const name = await open(4);
    const errors = [0, 1, 2].map((rank) => errorOf(ranks.run(rank, 'barrier', name)));
    ranks.children[3]!.kill('SIGKILL');
    for (const { message, peers, seconds } of await Promise.all(errors)) {
      expect(message).toMatch(/barrier: .*Connection (closed|reset) by peer.*no word from rank 3/s);
      expect(peers).toEqual([3]);
      expect(seconds).toBeLessThan(10);
    }
    await ranks.all(3, 'close', name);
  });

  test('so is one that is killed while data is under way', async () => {
    const name = await open(3);
    const errors = [0, 1].map((rank) => errorOf(ranks.run(rank, 'allReduceForLong', name)));
    ranks.run(2, 'allReduceForLong', name).catch(() => {});
    await sleep(300);
    ranks.children[2]!.kill('SIGKILL');
    for (const { message, peers, seconds } of await Promise.all(errors)) {
      expect(message).toMatch(/allReduce\(float32\[4000000\]\): .*no word from rank 2/s);
      expect(peers).toEqual([2]);
      expect(seconds).toBeLessThan(10);
    }
    await ranks.all(2, 'close', name);
  });

  test('a store that goes with its process is told', async () => {
    const name = await open(2);
    store.close();
    const error = errorOf(ranks.run(0, 'barrier', name));
    ranks.children[1]!.kill('SIGKILL');
    expect((await error).message).toMatch(/The store at 127.0.0.1:\d+ is gone too: the process that held it has ended/);
  });
});
