import { native } from './native.js';

/** Where a tensor lives. `meta` tensors have a shape and no data. */
export type Device = 'cpu' | 'meta' | 'cuda' | `cuda:${number}`;

const CPU = 0;
const CUDA = 1;
const META = 14;

/** c10::DeviceType * 256 + index + 1, undefined for none given. Throws for an unknown device. */
export function deviceCode(device: Device | null | undefined): number | undefined {
  if (device === undefined || device === null) return undefined;
  if (device === 'cpu') return CPU * 256;
  if (device === 'meta') return META * 256;
  if (device === 'cuda') return CUDA * 256;
  const match = /^cuda:(\d{1,2})$/.exec(device);
  if (match) return CUDA * 256 + Number(match[1]) + 1;
  throw new TypeError(`unknown device '${String(device)}'; known are cpu, cuda, cuda:0, cuda:1, ... and meta`);
}

export function deviceName(type: number, index: number): Device {
  if (type === CPU) return 'cpu';
  if (type === META) return 'meta';
  if (type === CUDA) return index < 0 ? 'cuda' : `cuda:${index}`;
  throw new TypeError(`this tensor is on libtorch's device type ${type}, which has no name here`);
}

export const isDevice = (name: string): name is Device => /^(cpu|meta|cuda(:\d{1,2})?)$/.test(name);

/** Number of CUDA devices; 0 for a build of libtorch without CUDA or a machine without a driver. */
export const deviceCount = (): number => native().deviceCount();

/** Whether libtorch sees a CUDA device. */
export const isCudaAvailable = (): boolean => deviceCount() > 0;

/**
 * Whether operators must give the same bits every time; for those that cannot on their device libtorch then throws. It
 * makes a difference on CUDA devices, and is to be chosen before the first of them is used: cuBLAS reads
 * CUBLAS_WORKSPACE_CONFIG, which is set here unless it is set already, once.
 */
export function setDeterministic(on: boolean): void {
  if (on) process.env.CUBLAS_WORKSPACE_CONFIG ??= ':4096:8';
  native().setDeterministic(on);
}

/** Waits until the device has finished its queued work, so that times can be measured. A no-op for the CPU. */
export function synchronize(device: Device = 'cuda'): void {
  native().synchronize(deviceCode(device));
}
