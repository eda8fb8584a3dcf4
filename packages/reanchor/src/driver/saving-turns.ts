import type { ProcessGroup } from '@reanchor/torch';
import { tell } from '../parallel/tell.js';
import type { SaveRequest } from '../weights/weights.js';
import type { StepListener } from './step-listener.js';

const done = 'done';

/**
 * When processes save together: where weights are divided, rank 0 cannot write alone, and only it knows whether
 * something is to be written. So between two steps the others serve it until it says that it is done.
 */
export class SavingTurns implements StepListener {
  constructor(
    private readonly world: ProcessGroup,
    /** Whether weights are divided; otherwise nothing has to be said. */
    private readonly isNeeded: boolean,
    private readonly serve: (request: SaveRequest) => Promise<void>,
  ) {}

  async onPause(): Promise<void> {
    await this.take();
  }

  /** On rank 0: says that nothing more is saved now. On the others: sends, or writes, what it asks for until then. */
  async take(): Promise<void> {
    if (!this.isNeeded) return;
    if (this.world.rank === 0) {
      tell(this.world, done);
      return;
    }
    for (;;) {
      const request = tell<SaveRequest | typeof done>(this.world);
      if (request === done) return;
      await this.serve(request);
    }
  }
}
