/// <reference types="node" preserve="true" />
/** @reanchor/torch: libtorch for Node.js. Nothing is loaded before the first tensor is made. */
import { type NativeOp, native } from './native.js';

export { adamw8bit_, adamw8bitBlock, type Moment8bit } from './adamw-8bit.js';
export { packedAttention, rotate } from './attention.js';
export { backward, type GradOptions, grad } from './autograd.js';
export { decodeAttention, decodeLinear, decodeRmsNorm } from './decode.js';
export { type Device, deviceCount, isCudaAvailable, setDeterministic, synchronize } from './device.js';
export { kernelsProblem } from './device-kernels.js';
export { type Moved, moveTowards_, squaredDistance } from './distance.js';
export * from './distributed/index.js';
export { DTYPES, type DType, dtypeBytes, isDType, type Scalar, type TypedArray } from './dtype.js';
export { DistributedError, type Member, SetupError, TorchError, UseAfterDisposeError } from './errors.js';
export { op } from './escape.js';
export { type HalfPrecision, halfPrecision } from './half-precision.js';
export { type HeadsOptions, type KeyRows, rotateHeads } from './heads.js';
export { copyToDevice, copyToHost, emptyPinned } from './host-copies.js';
export { linear, setOneDnnProducts } from './linear.js';
export { linearLogprob } from './logprob.js';
export {
  type CudaMemory,
  cudaMemory,
  emptyCache,
  getNumThreads,
  type Memory,
  memory,
  resetPeak,
  resetPeakCudaMemory,
  setFlushDenormal,
  setMatmulPrecision,
  setNumThreads,
  trimMemory,
} from './memory.js';
export {
  type DoubledAbsmax,
  type Nf4Absmax,
  type Nf4Layout,
  nf4Absmax,
  nf4Dequantize,
  nf4Linear,
  nf4Quantize,
  nf4QuantizeAbsmax,
  nf4Table,
} from './nf4.js';
export * from './ops.gen.js';
export { recordFunction, startProfile, stopProfile, type TraceEvent } from './profile.js';
export { manualSeed, rngState, setRngState } from './random.js';
export { enableGrad, inScope, isGradEnabled, keep, noGrad, Scope, scope, tidy } from './scope.js';
export { swiglu } from './swiglu.js';
export { type FromDataOptions, full, Tensor, type ToOptions, tensor } from './tensor.js';
export {
  type SeenFollowers,
  type UpdateFollowers,
  type UpdateOptions,
  type UpdateStep,
  update_,
} from './update.js';
export type { NativeOp };
/** How libtorch was built and what it runs on. */
export const nativeConfig = () => native().config();
