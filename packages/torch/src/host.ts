/// <reference types="node" preserve="true" />
/**
 * @reanchor/torch/host: what is asked of the machine apart from libtorch: other programs, other processes, names.
 * Importing it loads no native code.
 */

export { cacheFolder } from './locate.js';
export { type HeldLock, holderText, lockHolder, removeLock, takeLock } from './lock-file.js';
export { type Clock, systemClock, type WaitOptions, withLock } from './lock-wait.js';
export { type ProcessState, parseIdentity, stateOf } from './process-identity.js';
export { findExecutable, launch, type StartedProgram, startProgram } from './programs.js';
export { isTemporary, temporaryName } from './temporary-name.js';
