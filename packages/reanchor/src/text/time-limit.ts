/** A limit on the time of a computation that cannot be asked to stop, such as a regular expression of another's. */
import { createContext, Script } from 'node:vm';

/** The computation took longer than it may. */
export class TimeLimitError extends Error {
  override name = 'TimeLimitError';
}

const context = createContext({ compute: undefined as unknown });
const script = new Script('compute()');

/**
 * What `compute` returns. It is ended wherever it is, in the middle of a regular expression too, once it has run for
 * `limitMs`; what it was changing is then of no use any more. A call costs about a tenth of a millisecond. Errors:
 * TimeLimitError; those of `compute`.
 */
export function withinTime<T>(limitMs: number, compute: () => T): T {
  const outer = context.compute;
  context.compute = compute;
  try {
    return script.runInContext(context, { timeout: limitMs }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new TimeLimitError(`it was not done after ${limitMs} ms`, { cause: error });
  } finally {
    context.compute = outer;
  }
}
