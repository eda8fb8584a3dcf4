/** One call of a collective: what a rank asks for, in a form that ranks can compare, and libtorch's operators. */
import { DTYPES, type DType } from '../dtype.js';
import { LazyOp, make } from '../op.js';
import type { Tensor } from '../tensor.js';

/** How the ranks' elements become one. `avg` is the sum divided by the number of ranks. */
export type Reduce = 'sum' | 'avg' | 'max' | 'min' | 'product';

const REDUCES: readonly Reduce[] = ['sum', 'avg', 'max', 'min', 'product'];
const NAMES = ['allReduce', 'allGather', 'reduceScatter', 'broadcast', 'sum', 'barrier'] as const;

export interface Collective {
  readonly name: (typeof NAMES)[number];
  /** The tensor that this rank gives; undefined for a barrier. */
  readonly given?: { readonly dtype: DType; readonly numel: number };
  readonly reduce?: Reduce;
  readonly source?: number;
  /** Why this rank will not make the call after all. */
  readonly refused?: string | undefined;
}

/** Numbers of a record: they are equal on all ranks that make the same call. */
const RECORD_LENGTH = 7;

export const record = (call: Collective, count: number): number[] => [
  count,
  NAMES.indexOf(call.name),
  call.reduce === undefined ? -1 : REDUCES.indexOf(call.reduce),
  call.source ?? -1,
  call.given === undefined ? -1 : DTYPES.indexOf(call.given.dtype),
  call.given?.numel ?? -1,
  call.refused === undefined ? 0 : 1,
];

/** A record in words: `call 3, allReduce (sum) of 4 float32`. */
function describeRecord(numbers: ArrayLike<number>): string {
  const [count, name = 0, reduce = -1, source = -1, dtype = -1, numel, refused] = Array.from(numbers);
  const how = reduce >= 0 ? ` (${REDUCES[reduce]})` : source >= 0 ? ` from rank ${source}` : '';
  const what = dtype >= 0 ? ` of ${numel} ${DTYPES[dtype]}` : '';
  return `call ${count}, ${NAMES[name]}${how}${what}${refused ? ', which it refuses' : ''}`;
}

/** Of the ranks' records, one after the other: the ranks whose differ from this rank's, and all of them in words. */
export function disagreement(records: ArrayLike<number>, rank: number): { peers: number[]; words: string } {
  const groups = new Map<string, number[]>();
  for (let r = 0; r * RECORD_LENGTH < records.length; r++) {
    const text = describeRecord(Array.from(records).slice(r * RECORD_LENGTH, (r + 1) * RECORD_LENGTH));
    groups.set(text, [...(groups.get(text) ?? []), r]);
  }
  const said = [...groups].map(([text, ranks]) => `${ranksInWords(ranks)}: ${text}`);
  return {
    peers: [...groups.values()].filter((ranks) => !ranks.includes(rank)).flat(),
    words: `the ranks do not make the same call (${said.join('; ')}). Nothing was sent`,
  };
}

export const ranksInWords = (ranks: readonly number[]): string =>
  `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;

const allReduce = new LazyOp('_c10d_functional::all_reduce', '');
const allReduceInPlace = new LazyOp('_c10d_functional::all_reduce_', '');
const allGather = new LazyOp('_c10d_functional::all_gather_into_tensor', '');
const allGatherInto = new LazyOp('_c10d_functional::all_gather_into_tensor_out', '');
const reduceScatter = new LazyOp('_c10d_functional::reduce_scatter_tensor', '');
const broadcastInPlace = new LazyOp('_c10d_functional::broadcast_', '');
const waitTensor = new LazyOp('_c10d_functional::wait_tensor', '');

/** Issues a collective of the group with this name, and returns the tensor that will have its result. */
export const issue = {
  allReduce: (group: string, input: Tensor, reduce: Reduce): Tensor =>
    make(allReduce.call(input.handle, reduce, group)),
  allReduce_: (group: string, tensor: Tensor, reduce: Reduce): Tensor => {
    allReduceInPlace.call(tensor.handle, reduce, group);
    return tensor;
  },
  allGather: (group: string, slice: Tensor, world: number): Tensor => make(allGather.call(slice.handle, world, group)),
  allGatherInto: (group: string, whole: Tensor, slice: Tensor, world: number): Tensor => {
    allGatherInto.call(slice.handle, world, group, whole.handle);
    return whole;
  },
  reduceScatter: (group: string, whole: Tensor, reduce: Reduce, world: number): Tensor =>
    make(reduceScatter.call(whole.handle, reduce, world, group)),
  broadcast_: (group: string, tensor: Tensor, source: number): Tensor => {
    broadcastInPlace.call(tensor.handle, source, group);
    return tensor;
  },
} as const;

/** Waits for the collectives that write to this tensor's memory. */
export const waitFor = (tensor: Tensor): void => make(waitTensor.call(tensor.handle)).dispose();
