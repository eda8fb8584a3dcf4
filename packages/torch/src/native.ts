/** The one place that loads native code, when it is first needed. */
import { constants } from 'node:os';
import { addonFile, addonProblem } from './build.js';
import type { TypedArray } from './dtype.js';
import { makeError, SetupError } from './errors.js';
import { locateForLoad, THREE_WAYS } from './locate.js';
import type { NativeList } from './op.js';
import { isMemory, versionProblem } from './try-load.js';

/**
 * An operator: its schema's arguments in order, tensors as handles. Returns handles, numbers, arrays of them or
 * undefined.
 */
export type NativeOp = (...args: unknown[]) => unknown;

/** What the addon exports. Tensors are handles here; lists come as NativeList. */
export interface Native {
  /** Shared with C++: lists on their way in, answers of info(), stats() and deviceMemory() on their way out. */
  readonly buffer: Float64Array;
  setErrorFactory(make: (code: string, op: string, shapes: string, words: string) => Error): void;
  resolve(name: string, overload: string): NativeOp;
  schema(name: string, overload: string): string | undefined;
  schemas(): string;
  dispose(handle: number): void;
  disposeMany(handles: Float64Array, count: number): void;
  track(handle: number): void;
  fromTypedArray(data: TypedArray, shape: NativeList, dtype: number, device: number): number;
  readInto(handle: number, array: TypedArray): void;
  info(handle: number): void;
  item(handle: number): number;
  stats(): void;
  resetPeak(): void;
  backward(tensors: NativeList, gradients: NativeList, retainGraph: boolean, createGraph: boolean): void;
  grad(
    outputs: NativeList,
    inputs: NativeList,
    gradients: NativeList,
    retainGraph: boolean,
    createGraph: boolean,
  ): number[];
  getGrad(handle: number): number;
  setGrad(handle: number, gradient: number | undefined): void;
  requiresGrad(handle: number): boolean;
  setRequiresGrad(handle: number, value: boolean): void;
  isGradEnabled(): boolean;
  setGradEnabled(enabled: boolean): boolean;
  setFlushDenormal(on: boolean): void;
  setMatmulPrecision(bf16: boolean): void;
  setOneDnnProducts(on: boolean): void;
  manualSeed(seed: number): void;
  rngState(device: number): Uint8Array;
  setRngState(state: Uint8Array, device: number): void;
  setNumThreads(threads: number): void;
  getNumThreads(): number;
  setDeterministic(on: boolean): void;
  deviceCount(): number;
  synchronize(device: number | undefined): void;
  deviceMemory(device: number): void;
  resetPeakMemory(device: number): void;
  emptyCache(): void;
  trimMemory(): void;
  startProfile(): void;
  stopProfile(): { names: string[]; times: Float64Array };
  clockUs(): number;
  openTcpStore(host: string, port: number, isServer: boolean, timeoutMs: number): number;
  tcpStorePort(store: number): number;
  openFileStore(path: string, timeoutMs: number): number;
  closeStore(store: number): void;
  storeSet(store: number, key: string, text: string): void;
  storeGet(store: number, key: string): string;
  storeHas(store: number, key: string): boolean;
  storeAdd(store: number, key: string, amount: number): number;
  openGroup(
    name: string,
    store: number,
    backend: string,
    rank: number,
    world: number,
    timeoutMs: number,
    address: string,
    device: number | undefined,
  ): void;
  abortGroup(name: string): void;
  closeGroup(name: string): void;
  backends(): string;
  beginCopy(to: number, from: number): number;
  awaitCopy(copy: number): void;
  finishCopy(copy: number): void;
  openKernels(nvrtc: string, builtins: string, driver: string): string;
  deviceArchitecture(device: number): string;
  compileKernel(source: string, name: string, options: string): Uint8Array;
  loadKernel(cubin: Uint8Array, name: string, device: number): number;
  resizeStorage(handle: number, bytes: number): void;
  isContiguous(handle: number): boolean;
  config(): { compiledFor: string; build: string; cpu: string; oneDNN: string; products: string; parallel: string };
}

let addon: Native | undefined;

/** The addon, loaded on the first call. Throws SetupError when libtorch or the compiled addon is missing. */
export function native(): Native {
  return addon ?? load();
}

function load(): Native {
  // Idle OpenMP threads spin by default; on a shared machine one preempted thread then stalls every operator.
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE';
  const located = locateForLoad();
  const file = addonFile(located);
  const problem = addonProblem(file);
  if (problem !== undefined) {
    throw new SetupError(`libtorch ${located.version} was found in ${located.folder}, but ${problem}`);
  }
  const module = { exports: {} as Native };
  const { RTLD_NOW, RTLD_DEEPBIND = 0 } = constants.dlopen;
  try {
    // node exports symbols of OpenSSL, zlib and others; deep binding keeps libtorch's dependencies from taking these.
    process.dlopen(module, file, RTLD_NOW | RTLD_DEEPBIND);
  } catch (error) {
    throw loadFailure(file, error as Error);
  }
  const loaded = module.exports;
  const mixed = versionProblem(loaded.config(), located.folder);
  if (mixed !== undefined) throw new SetupError(`the addon does not fit: ${mixed}. Run: npx reanchor setup`);
  loaded.setErrorFactory(makeError);
  addon = loaded;
  return loaded;
}

function loadFailure(file: string, cause: Error): SetupError {
  const { message } = cause;
  return new SetupError(`cannot load ${file}: ${message}${isMemory(message) ? '' : `\n${THREE_WAYS}`}`, { cause });
}
