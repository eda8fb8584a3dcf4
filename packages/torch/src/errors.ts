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

/** A rank of a group of processes. */
export interface Member {
  readonly rank: number;
  readonly world: number;
  /** The group's name. */
  readonly group: string;
}

/**
 * Something between processes failed: a store was not reached, a peer did not come, is gone or asks for something else.
 * The message is the rank, the operation, libtorch's own words, and which peers are the cause where that is known.
 */
export class DistributedError extends TorchError {
  override readonly name: string = 'DistributedError';
  /** Who noticed it; undefined for a store that no group uses yet. */
  readonly member: Member | undefined;
  /** The ranks that caused it, as far as is known. */
  readonly peers: readonly number[];

  constructor(
    op: string,
    shapes: string,
    words: string,
    {
      member,
      peers = [],
      cause,
    }: { member?: Member | undefined; peers?: readonly number[] | undefined; cause?: unknown } = {},
  ) {
    super(op, shapes, words, cause instanceof TorchError && cause.outOfMemory, { cause });
    this.member = member;
    this.peers = peers;
    if (!member) return;
    this.message = `rank ${member.rank} of ${member.world} (group ${member.group}), ${this.message}`;
    // The stack begins with the message, as it was.
    Error.captureStackTrace(this, DistributedError);
  }
}

/** libtorch or the addon is missing or unfit. The message says what was tried and how to get there. */
export class SetupError extends Error {
  override readonly name: string = 'SetupError';
}

/** What went wrong, in libtorch's words alone where they are libtorch's. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof TorchError)) return error instanceof Error ? error.message : String(error);
  return error.message.slice(error.message.indexOf(': ', error.op.length + error.shapes.length) + 2);
}

/** Called by the addon for every C++ exception that reaches JavaScript. */
export function makeError(code: string, op: string, shapes: string, words: string): Error {
  if (code === 'DISPOSED') return new UseAfterDisposeError(op, shapes, words);
  return new TorchError(op, shapes, words, code === 'OUT_OF_MEMORY');
}
