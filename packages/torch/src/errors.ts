/**
 * An operator refused its arguments. The message is the operator, the shapes it was given and libtorch's own words.
 * `outOfMemory` marks an allocation that failed.
 */
export class TorchError extends Error {
  override readonly name: string = 'TorchError';
  /** Operator as libtorch names it, as in `aten::mm`. */
  readonly op: string;
  /** The tensor arguments, as in `(self: float32[2, 3], mat2: float32[4, 5])`. */
  readonly shapes: string;
  readonly outOfMemory: boolean;

  constructor(op: string, shapes: string, words: string, outOfMemory = false, options?: ErrorOptions) {
    super(`${op}${shapes}: ${words}`, options);
    this.op = op;
    this.shapes = shapes;
    this.outOfMemory = outOfMemory;
  }
}

/** A tensor was used after its scope ended or after dispose(). */
export class UseAfterDisposeError extends TorchError {
  override readonly name: string = 'UseAfterDisposeError';
}

/** libtorch or the addon is missing or unfit. The message says what was tried and how to get there. */
export class SetupError extends Error {
  override readonly name: string = 'SetupError';
}

/** Called by the addon for every C++ exception that reaches JavaScript. */
export function makeError(code: string, op: string, shapes: string, words: string): Error {
  if (code === 'DISPOSED') return new UseAfterDisposeError(op, shapes, words);
  return new TorchError(op, shapes, words, code === 'OUT_OF_MEMORY');
}
