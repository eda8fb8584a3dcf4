/** A process group that writes down what it is asked to send, and what tensors the process holds at that moment. */
import { dtypeBytes, memory, type ProcessGroup, type Tensor } from '@reanchor/torch';

export interface MeasuredCall {
  name: 'allReduce' | 'allReduce_' | 'allGather' | 'allGatherInto' | 'reduceScatter' | 'broadcast_' | 'sum';
  /** Bytes of what all processes have together, or sum up. */
  bytes: number;
  /** Bytes of all tensors of this process, before the call; after it of a sum. */
  held: number;
  /** Tensors that its JavaScript holds. */
  live: number;
}

type Sized = Tensor | readonly number[] | Float64Array;

const bytesOf = (value: Sized) => ('dtype' in value ? value.numel * dtypeBytes(value.dtype) : 8 * value.length);

/** The same group; its calls, and those of groups that are split from it, are added to `calls`. */
export function measuredGroup(group: ProcessGroup, calls: MeasuredCall[]): ProcessGroup {
  const wholeOf: Record<MeasuredCall['name'], (...given: Sized[]) => number> = {
    allReduce: (tensor) => bytesOf(tensor!),
    allReduce_: (tensor) => bytesOf(tensor!),
    allGather: (slice) => bytesOf(slice!) * group.world,
    allGatherInto: (whole) => bytesOf(whole!),
    reduceScatter: (whole) => bytesOf(whole!),
    broadcast_: (tensor) => bytesOf(tensor!),
    sum: (values) => bytesOf(values!),
  };
  return new Proxy(group, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key);
      if (typeof found !== 'function') return found;
      if (key === 'split') {
        return async (...given: Parameters<ProcessGroup['split']>) => {
          const part = await target.split(...given);
          return part.world === 1 ? part : measuredGroup(part, calls);
        };
      }
      const name = Object.keys(wholeOf).find((one) => one === key) as MeasuredCall['name'] | undefined;
      const note = (given: Sized[]) => {
        if (!name) return;
        const { tensorBytes: held, liveTensors: live } = memory();
        calls.push({ name, bytes: wholeOf[name](...given), held, live });
      };
      return (...given: Sized[]) => {
        // gloo's threads let go of a tensor a moment after it is sent: a sum, which is waited for, gives them that.
        if (name !== 'sum') note(given);
        const made: unknown = found.apply(target, given);
        if (name === 'sum') note(given);
        return made;
      };
    },
  });
}

export const isOfGradients = ({ name }: MeasuredCall) => ['reduceScatter', 'allReduce', 'allReduce_'].includes(name);

/** What a process holds between a step and the next: the least, for each step but the last. */
export function rests(calls: readonly MeasuredCall[], of: 'held' | 'live' = 'held'): number[] {
  const found: number[] = [];
  let least: number | undefined;
  for (const [i, call] of calls.entries()) {
    if (call.name === 'sum' && least !== undefined) least = Math.min(least, call[of]);
    if (!isOfGradients(call)) continue;
    if (least !== undefined && Number.isFinite(least)) found.push(least);
    least = Number.POSITIVE_INFINITY;
    if (i === calls.findLastIndex(isOfGradients)) break;
  }
  return found;
}
