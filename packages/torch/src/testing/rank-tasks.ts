/** What the processes of the tests of process groups do. Every task gets its rank, then what the test gives. */
import {
  type Checks,
  type DType,
  FileStore,
  memory,
  ProcessGroup,
  type Reduce,
  resizeStorage,
  TcpStore,
  tensor,
  tidy,
  untracked,
} from '../index.js';

export interface Order {
  id: number;
  task: keyof typeof tasks;
  rank: number;
  args: unknown[];
}

export interface Answer {
  id: number;
  value?: unknown;
  error?: { name: string; message: string; peers?: number[] | undefined };
  seconds: number;
}

let store: TcpStore;
const groups = new Map<string, ProcessGroup>();
const groupOf = (name: string) => groups.get(name)!;

interface Opening {
  name: string;
  world: number;
  timeoutSeconds?: number;
  openSeconds?: number;
  checks?: Checks;
  file?: string;
}

/** Elements in which every rank, and every place, has a number of its own; they and their sums fit into bfloat16. */
const mine = (rank: number, count: number) => Array.from({ length: count }, (_, i) => 4 * rank + i + 1);

export const tasks = {
  async connect(_rank: number, port: number) {
    store = await TcpStore.open({ host: '127.0.0.1', port, timeoutSeconds: 20 });
  },
  /** With `words` it fails in the moment in which it is open. */
  async open(rank: number, { name, world, timeoutSeconds = 20, openSeconds, checks, file }: Opening, words?: string) {
    const place = file === undefined ? store : FileStore.open(file);
    const group = await ProcessGroup.open({ store: place, rank, world, name, timeoutSeconds, openSeconds, checks });
    groups.set(name, group);
    if (words !== undefined) group.fail(words);
  },
  /** Opens a group of ranks of another one, which tasks call by both names. */
  async split(_rank: number, name: string, ranks: readonly number[], part: string) {
    const group = await groupOf(name).split(ranks, part);
    groups.set(`${name}.${part}`, group);
    return [group.rank, group.world];
  },
  close: (_rank: number, name: string) => groupOf(name).close(),
  /** Every collective of one dtype, with 2 elements a rank. */
  everything(rank: number, name: string, dtype: DType) {
    const group = groupOf(name);
    const whole = 2 * group.world;
    return tidy(() => {
      const given = (count: number) => tensor(mine(rank, count), { dtype });
      const reduced = (reduce: Reduce) => group.allReduce(given(2), reduce).wait().toList();
      const inPlace = given(2);
      group.allReduce_(inPlace).wait();
      const into = given(whole);
      group.allGatherInto(into, given(2)).wait();
      const sent = given(3);
      group.broadcast_(sent, group.world - 1).wait();
      group.barrier();
      return {
        sum: reduced('sum'),
        max: reduced('max'),
        min: reduced('min'),
        product: group
          .allReduce(tensor([rank + 1, 2], { dtype }), 'product')
          .wait()
          .toList(),
        inPlace: inPlace.toList(),
        gathered: group.allGather(given(2)).wait().toList(),
        into: into.toList(),
        scattered: group.reduceScatter(given(whole)).wait().toList(),
        broadcast: sent.toList(),
        numbers: Array.from(group.sum([rank + 0.1, 1 / (rank + 3)])),
        dtypes: new Set([inPlace, into, sent].map((t) => t.dtype)).size,
      };
    });
  },
  average: (rank: number, name: string) =>
    tidy(() =>
      groupOf(name)
        .allReduce(tensor([rank, 1]), 'avg')
        .wait()
        .toList(),
    ),
  /** Rows that do not lie one after the other in memory. */
  transposed(rank: number, name: string) {
    return tidy(() => {
      const given = tensor(mine(rank, 4), { shape: [2, 2] }).transpose(0, 1);
      const [summed, gathered] = [groupOf(name).allReduce(given), groupOf(name).allGather(given)];
      return [summed.wait().toList(), gathered.wait().toList(), groupOf(name).reduceScatter(given).wait().toList()];
    });
  },
  /** Many collectives under way, waited for from the last to the first, some of their results disposed of before. */
  manyAtOnce(rank: number, name: string) {
    return tidy(() => {
      const pending = mine(rank, 8).map((value) => groupOf(name).allReduce(tensor([value])));
      groupOf(name)
        .allReduce(tensor([1]))
        .wait()
        .dispose();
      const results = pending.reverse().map((p) => p.wait().item());
      return results.reverse();
    });
  },
  /** Issued and not waited for: close() does. */
  closeAtOnce(rank: number, name: string) {
    return tidy(() => {
      const tensors = mine(rank, 4).map((value) => tensor(new Float64Array(200_000).fill(value)));
      for (const t of tensors) groupOf(name).allReduce_(t);
      groupOf(name).close();
      return tensors.map((t) => [t.toList()[0], t.toList().at(-1)]);
    });
  },
  allReduce: (rank: number, name: string, count: number, dtype: DType) =>
    tidy(() =>
      groupOf(name)
        .allReduce(tensor(mine(rank, count), { dtype }))
        .wait()
        .toList(),
    ),
  /** As sharded weights come and go: gathered into new memory, and seen through a view that was there before. */
  weightsThatComeAndGo(rank: number, name: string) {
    return tidy(() => {
      const group = groupOf(name);
      const whole = tensor(mine(rank, 2 * group.world));
      const weight = untracked(whole.view([group.world, 2]));
      return [1, 2].map((factor) => {
        resizeStorage(whole, 0);
        resizeStorage(whole, 8 * group.world);
        const pending = group.allGatherInto(whole, tensor(mine(rank, 2)).mul(factor));
        pending.wait();
        return weight.toList();
      });
    });
  },
  /** The tensors that are alive after many calls, more than before. */
  leak(rank: number, name: string) {
    const group = groupOf(name);
    const given = tensor(mine(rank, 4));
    const round = () =>
      tidy(() => {
        group.allReduce(given).wait();
        group.allReduce_(given).wait();
        group.allGather(given).wait();
        group.sum([1]);
        group.barrier();
      });
    round();
    const before = memory().liveTensors;
    for (let i = 0; i < 10; i++) round();
    return memory().liveTensors - before;
  },
  /** So much data that it is under way for seconds. */
  allReduceForLong(_rank: number, name: string) {
    const data = new Float32Array(4_000_000);
    for (let i = 0; i < 100; i++) tidy(() => groupOf(name).allReduce_(tensor(data)).wait());
  },
  broadcast: (_rank: number, name: string, source: number) =>
    tidy(() =>
      groupOf(name)
        .broadcast_(tensor([1, 2]), source)
        .wait()
        .toList(),
    ),
  reduceInPlaceOfColumns: (_rank: number, name: string) =>
    tidy(() =>
      groupOf(name)
        .allReduce_(tensor([1, 2, 3, 4], { shape: [2, 2] }).transpose(0, 1))
        .wait()
        .toList(),
    ),
  gatherIntoTooLittle: (_rank: number, name: string) =>
    tidy(() =>
      groupOf(name)
        .allGatherInto(tensor([1, 2, 3]), tensor([1, 2]))
        .wait(),
    ),
  barrier: (_rank: number, name: string) => groupOf(name).barrier(),
  sum: (_rank: number, name: string, values: number[]) => Array.from(groupOf(name).sum(values)),
  fail: (_rank: number, name: string, words: string) => groupOf(name).fail(words),
  /** The whole process stands still, its answers included. */
  hang: (_rank: number, milliseconds: number) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  },
};
