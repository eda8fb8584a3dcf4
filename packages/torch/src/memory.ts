import { readFileSync } from 'node:fs';
import { type Device, deviceCode } from './device.js';
import { native } from './native.js';

/** What tensors take on the CPU, and how many there are; see {@link memory}. */
export interface Memory {
  /** Tensors that JavaScript holds now, and at most so far (since resetPeak). */
  liveTensors: number;
  peakLiveTensors: number;
  /** Entries of the handle table. */
  slots: number;
  /** Bytes of tensors outside every scope, which the garbage collector was told of. */
  externalBytes: number;
  /** Bytes of CPU tensors, those that autograd keeps included: now, and at most so far (since resetPeak). */
  tensorBytes: number;
  peakTensorBytes: number;
  /** Resident memory of the process in bytes, now and at most. */
  rss: number;
  peakRss: number;
}

/** What tensors and the process hold. */
export function memory(): Memory {
  const addon = native();
  addon.stats();
  const [liveTensors = 0, peakLiveTensors = 0, slots = 0, externalBytes = 0, tensorBytes = 0, peakTensorBytes = 0] =
    addon.buffer;
  return {
    liveTensors,
    peakLiveTensors,
    slots,
    externalBytes,
    tensorBytes,
    peakTensorBytes,
    rss: process.memoryUsage.rss(),
    peakRss: peakRss(),
  };
}

/** On Linux not getrusage's maximum, which a process inherits from the one that started it. */
function peakRss(): number {
  try {
    const [, kilobytes] = /VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // no /proc here
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** Makes the number of live tensors now, and their bytes, the new peaks. */
export const resetPeak = (): void => native().resetPeak();

/** Bytes of a CUDA device; see {@link cudaMemory}. */
export interface CudaMemory {
  allocated: number;
  peakAllocated: number;
  reserved: number;
  peakReserved: number;
  free: number;
  total: number;
}

/** Bytes of libtorch's allocator on a CUDA device, and of the device. */
export function cudaMemory(device: Device = 'cuda'): CudaMemory {
  const addon = native();
  addon.deviceMemory(deviceCode(device) as number);
  const [allocated = 0, peakAllocated = 0, reserved = 0, peakReserved = 0, free = 0, total = 0] = addon.buffer;
  return { allocated, peakAllocated, reserved, peakReserved, free, total };
}

/** Lets the peaks of {@link cudaMemory} begin anew from what is taken now. */
export const resetPeakCudaMemory = (device: Device = 'cuda'): void =>
  native().resetPeakMemory(deviceCode(device) as number);

/** Returns unused blocks of the CUDA allocator to the driver. A no-op without CUDA. */
export const emptyCache = (): void => native().emptyCache();

/**
 * Returns to the system what freed tensors left on the CPU, and to the driver what they left on CUDA devices. They keep
 * it otherwise, since the next step needs it again; worth calling after a phase that will not come back.
 */
export function trimMemory(): void {
  native().trimMemory();
  emptyCache();
}

/**
 * Whether numbers nearer to 0 than the smallest normal one (1.2e-38 in float32, 2.2e-308 in float64) count as 0 in
 * what libtorch computes on the CPU, on all of its threads: on from the beginning, other than in PyTorch, since a CPU
 * may take a hundred times as long for them. JavaScript's own numbers are as they were.
 */
export const setFlushDenormal = (on: boolean): void => native().setFlushDenormal(on);

/**
 * What products of float32 matrices are computed in, in this process: `fp32`, as from the beginning, or `bf16`. With
 * that what is multiplied is rounded to bfloat16 on a CPU with AMX, and to TF32 on a CUDA device; sums are float32.
 * On a CPU with AVX-512 and no AMX products are float32 as before, by oneDNN in place of MKL.
 */
export const setMatmulPrecision = (precision: 'fp32' | 'bf16'): void =>
  native().setMatmulPrecision(precision === 'bf16');

/** Threads that one operator may use. */
export const getNumThreads = (): number => native().getNumThreads();

/** Has the operators of this process use so many threads at most. */
export const setNumThreads = (threads: number): void => native().setNumThreads(threads);
