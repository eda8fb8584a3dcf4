/**
 * What devices send and compute a second, as far as it is used: assumptions, of which an estimate of time has to be
 * one. The links are those by which GPUs of a machine, or machines, are sold.
 */

export interface Link {
  /** In words. */
  name: string;
  /** Bytes a second that a GPU sends and receives in large collectives. */
  bytesPerSecond: number;
  gpu: Gpu;
}

/** A GPU as times are estimated on it. */
export interface Gpu {
  name: string;
  /** FLOP/s of matrix products by the precision of a recipe, as the maker says. */
  peak: Record<'bf16' | 'fp32' | 'fp64', number>;
  /** The share of the peak that training is assumed to reach. */
  share: number;
}

const a100: Gpu = { name: 'A100', peak: { bf16: 312e12, fp32: 19.5e12, fp64: 19.5e12 }, share: 0.5 };
const h100: Gpu = { name: 'H100', peak: { bf16: 989e12, fp32: 67e12, fp64: 67e12 }, share: 0.4 };

/** The links by the names that `--link` takes. */
export const links = {
  nvlink: { name: 'NVLink of A100s', bytesPerSecond: 230e9, gpu: a100 },
  nvlink4: { name: 'NVLink of H100s', bytesPerSecond: 380e9, gpu: h100 },
  pcie: { name: 'PCIe 4 x16, without NVLink', bytesPerSecond: 22e9, gpu: a100 },
  '200gbit': { name: 'InfiniBand, 8 x 200 Gb/s a machine', bytesPerSecond: 22e9, gpu: a100 },
  '400gbit': { name: 'InfiniBand, 8 x 400 Gb/s a machine', bytesPerSecond: 45e9, gpu: h100 },
} satisfies Record<string, Link>;

/** A link between GPUs or machines whose speed is known. */
export type LinkName = keyof typeof links;

/** FLOP/s that a GPU is assumed to reach in a precision of a recipe. */
export function flopsPerSecond({ peak, share }: Gpu, precision: string): number {
  return share * (precision === 'fp32' ? peak.fp32 : precision === 'fp64' ? peak.fp64 : peak.bf16);
}
