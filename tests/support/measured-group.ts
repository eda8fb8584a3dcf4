/** A process group that writes down what it is asked to send, and what tensors the process holds at that moment. */
import { dtypeBytes, memory, type ProcessGroup, type Tensor } from '@reanchor/torch';

export interface MeasuredCall {
  name: 'allReduce' | 'allReduce_' | 'allGather' | 'allGatherInto' | 'reduceScatter' | 'broadcast_' | 'sum';
  /** Bytes of what all processes have together, or sum up. */
  bytes: number;
  /** Bytes of all tensors of this process. */
  held: number;
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
      return (...given: Sized[]) => {
        if (name) calls.push({ name, bytes: wholeOf[name](...given), held: memory().tensorBytes });
        return found.apply(target, given);
      };
    },
  });
}
