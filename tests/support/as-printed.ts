import { flagOf } from '#reanchor/cli/failure.js';
import { UserError } from '#reanchor/errors.js';

/** What `work` comes to; its error has the message that the command prints, with flags for options. */
export const asPrinted = <T>(work: Promise<T>): Promise<T> =>
  work.catch((error: Error) => {
    throw error instanceof UserError ? new Error(error.told(flagOf), { cause: error }) : error;
  });
