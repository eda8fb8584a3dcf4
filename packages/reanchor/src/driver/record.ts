import type { Clock } from '../clock.js';
import { mapTexts } from '../formats/index.js';
import { concealing, type Recipe } from '../recipe/index.js';
import { EventWriter, HeldFolder, type NewRunEvent, type RunEvent, type RunFolder } from '../runs/index.js';
import { MetricSinks, type RunEnd } from '../sinks/index.js';

interface RunRecordOptions {
  onEvent?: ((event: RunEvent) => unknown) | undefined;
  /** The step that a resumed run goes on from. */
  resumedAt?: number | undefined;
  clock?: Clock | undefined;
}

/** Where a run's events go: events.jsonl, the sinks of its recipe, whoever listens. */
export class RunRecord implements AsyncDisposable {
  readonly #events: EventWriter;
  #held: HeldFolder;
  readonly #sinks: MetricSinks;
  readonly #conceal: (text: string) => string;
  readonly #onEvent: ((event: RunEvent) => unknown) | undefined;
  /** What who listens has promised since it was waited for. */
  #promised: Promise<unknown>[] = [];

  constructor(folder: RunFolder, recipe: Recipe, { onEvent, resumedAt, clock }: RunRecordOptions) {
    this.#onEvent = onEvent;
    this.#conceal = concealing(recipe);
    this.#held = new HeldFolder(folder);
    try {
      this.#events = new EventWriter(folder.events);
    } catch (error) {
      this.#held[Symbol.dispose]();
      throw error;
    }
    const warnings: string[] = [];
    const warn = (message: string) => this.emit({ type: 'warning', message });
    // What fails at once is told when there is somebody to be told.
    let tell = (message: string) => {
      warnings.push(message);
    };
    this.#sinks = new MetricSinks(recipe, folder.path, (message) => tell(message), { resumedAt, clock });
    tell = warn;
    warnings.forEach(warn);
  }

  /** The run folder. */
  get folder(): RunFolder {
    return this.#held.folder;
  }

  /** The text of run.json. */
  get info(): string {
    return this.#held.info;
  }

  /** Makes sure that the run folder is where it was. Errors: LostFolder. */
  checkFolder(): void {
    this.#held.check();
  }

  /**
   * Makes sure that the run folder is where it was, and its events; what others have done to them is mended, and told
   * as a warning. Errors: LostFolder; UserError where it cannot be mended.
   */
  check(): void {
    this.checkFolder();
    for (const message of this.#events.settle()) this.emit({ type: 'warning', message });
  }

  /**
   * Goes on in another folder: the one that this was moved to, or a new one, which gets a copy of the events. Errors:
   * UserError.
   */
  moveTo(folder: RunFolder): void {
    const held = new HeldFolder(folder);
    try {
      this.#events.moveTo(folder.events);
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
    this.#held[Symbol.dispose]();
    this.#held = held;
  }

  emit(event: NewRunEvent): void {
    // What a model writes is told as it is.
    const told = event.type === 'samples' ? event : mapTexts(event, this.#conceal);
    const written = this.#events.write(told);
    this.#sinks.write(written);
    const promised = Promise.resolve(this.#onEvent?.(written));
    // Its error is thrown by who waits for it; where the run has ended before, nobody does.
    promised.catch(() => {});
    this.#promised.push(promised);
  }

  /** Waits until who listens is done with what was emitted so far. Errors: theirs. */
  async heard(): Promise<void> {
    const promised = this.#promised;
    this.#promised = [];
    await Promise.all(promised);
  }

  /** Makes sure that all events are on the disk; returns the bytes of events.jsonl. Errors: UserError. */
  sync(): number {
    return this.#events.sync();
  }

  /** Tells the sinks how the run ended; events can still be written. */
  close(end: RunEnd): Promise<void> {
    return this.#sinks.close(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#sinks[Symbol.asyncDispose]();
    } finally {
      try {
        this.#events[Symbol.dispose]();
      } finally {
        this.#held[Symbol.dispose]();
      }
    }
  }
}
