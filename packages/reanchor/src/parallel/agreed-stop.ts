import type { ProcessGroup } from '@reanchor/torch';
import { UserError } from '../errors.js';

/**
 * A signal that is aborted on all processes at the same place of their work: where they call `agree` and one of them
 * has been asked to stop. Alone it is the signal that asks.
 */
export class AgreedStop {
  readonly #controller = new AbortController();

  constructor(
    private readonly world: ProcessGroup,
    private readonly asked: AbortSignal | undefined,
  ) {}

  get signal(): AbortSignal | undefined {
    return this.world.world === 1 ? this.asked : this.#controller.signal;
  }

  /** To be called by all processes; `must` says that this one cannot go on. Errors: DistributedError. */
  agree({ must = false } = {}): void {
    if (this.world.world === 1 || this.#controller.signal.aborted) return;
    const [stops] = this.world.sum([this.asked?.aborted || must ? 1 : 0]);
    if (stops === 0) return;
    this.#controller.abort(
      this.asked?.aborted ? this.asked.reason : new UserError('another process of the run was asked to stop'),
    );
  }
}
