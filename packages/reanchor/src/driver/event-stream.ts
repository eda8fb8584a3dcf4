import { UsageError, UserError } from '../errors.js';
import type { RunEvent } from '../runs/index.js';

/** The events of a run for a loop over them, which the run waits for between its steps. */
export class EventStream {
  /** Events that the loop has not taken yet. */
  readonly #untaken: RunEvent[] = [];
  readonly #stop = new AbortController();
  #reader: 'none' | 'reads' | 'has read' = 'none';
  #hasBegun = false;
  /** To be called when the loop has something to look at. */
  #wake = () => {};
  /** Of the run: what is to be called when the loop asks for more than there is. */
  #goOn: (() => void)[] = [];

  /** Aborted when the loop is left before the run has ended. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Hands an event to the loop, if there is one. Returns what the run has to wait for before its next step. */
  push(event: RunEvent): Promise<void> | undefined {
    this.#hasBegun = true;
    if (this.#reader !== 'reads') return undefined;
    this.#untaken.push(event);
    this.#wake();
    return new Promise((goOn) => this.#goOn.push(goOn));
  }

  /**
   * The events of a run and then what it comes to. Errors: UsageError where events have been missed, or another loop
   * has them; those of the run.
   */
  read<Result>(run: Promise<Result>): AsyncGenerator<RunEvent, Result, undefined> {
    if (this.#reader !== 'none') {
      throw new UsageError('the events of a run are read once, and another loop has them: use onEvent besides');
    }
    if (this.#hasBegun) {
      throw new UsageError(
        'the loop over the events of a run has missed the first ones: begin it right after the call of train(), or use onEvent; events.jsonl in the run folder has all of them',
      );
    }
    this.#reader = 'reads';
    // The loop throws it.
    run.catch(() => {});
    return this.#events(run);
  }

  async *#events<Result>(run: Promise<Result>): AsyncGenerator<RunEvent, Result, undefined> {
    let hasEnded = false;
    const end = () => {
      hasEnded = true;
      this.#wake();
    };
    run.then(end, end);
    try {
      for (;;) {
        for (let event = this.#untaken.shift(); event; event = this.#untaken.shift()) yield event;
        if (hasEnded) return await run;
        const woken = new Promise<void>((wake) => {
          this.#wake = wake;
        });
        this.#release();
        await woken;
      }
    } finally {
      this.#reader = 'has read';
      if (!hasEnded) await this.#leave(run);
    }
  }

  #release(): void {
    for (const goOn of this.#goOn.splice(0)) goOn();
  }

  /** Stops the run, and waits until it has written its checkpoint; what it still tells is in events.jsonl. */
  async #leave(run: Promise<unknown>): Promise<void> {
    const reason = new UserError('the run was stopped before its first step: the loop over its events was left');
    this.#stop.abort(reason);
    this.#release();
    await run.catch((error: unknown) => {
      if (error !== reason) throw error;
    });
  }
}
