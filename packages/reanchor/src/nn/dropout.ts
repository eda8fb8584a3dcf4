/** Dropout of a pass of training, decided by numbers alone, so that a pass made again drops the same. */
import { type Device, manualSeed, rand, rngState, setRngState, type Tensor, tidy } from '@reanchor/torch';

export interface Dropout {
  /** The probability with which a value is left out; the others are divided by 1 - probability. */
  probability: number;
  /** An integer from 0 to 2^53 - 1; in one pass each layer has a mask of its own. */
  seed: number;
}

let current: Dropout | undefined;

/** Runs a pass, which must be synchronous, in which {@link dropped} leaves values out. */
export function withDropout<T>(dropout: Dropout | undefined, pass: () => T): T {
  const outer = current;
  current = dropout;
  try {
    return pass();
  } finally {
    current = outer;
  }
}

/** The values without those that are left out at this place of the network; all of them outside of training. */
export function dropped(x: Tensor, place: string): Tensor {
  if (!current || current.probability === 0) return x;
  const { probability, seed } = current;
  return tidy(() => {
    const uniform = seeded((seed + hash(place)) % Number.MAX_SAFE_INTEGER, x.device, () =>
      rand([...x.shape], { device: x.device }),
    );
    return x.mul(uniform.ge(probability).to(x.dtype)).div(1 - probability);
  });
}

/** What is drawn from a seed; the generators, which a program may use itself, go on as if nothing had been drawn. */
function seeded<T>(seed: number, device: Device, draw: () => T): T {
  const devices: Device[] = device === 'cpu' ? ['cpu'] : ['cpu', device];
  const states = devices.map((each) => rngState(each));
  manualSeed(seed);
  try {
    return draw();
  } finally {
    for (const [i, each] of devices.entries()) setRngState(states[i]!, each);
  }
}

/** FNV-1a of a text, in 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
