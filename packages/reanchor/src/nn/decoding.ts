// A step of generation: one new token a text, computed by kernels made for it.
import { isGradEnabled } from '@reanchor/torch';

let isOn = false;

/** Whether layers compute a step of {@link decoding}. */
export const isDecoding = (): boolean => isOn;

/**
 * Runs `step`, in which layers use the kernels of generation: float32 on the CPU, without gradients. What they leave
 * behind is small there and stays until their block ends, which spares a scope for each of them. `step`
 * must be synchronous.
 */
export function decoding<T>(step: () => T): T {
  if (isGradEnabled()) throw new Error('internal: decoding() outside noGrad()');
  isOn = true;
  try {
    return step();
  } finally {
    isOn = false;
  }
}
