import type { Clock } from '../clock.js';
import { UserError } from '../errors.js';
import type { StudyState } from './api.js';
import { Feed, type Message, message } from './feed.js';
import type { Library } from './library.js';

/** Milliseconds between looks at a study. */
const pauseMs = 1500;

/** A study in one of its scores, told whole whenever something of it changes. */
export class StudyFeed extends Feed {
  #state: StudyState | undefined;
  #problem: string | undefined;
  #told: string | undefined;

  constructor(
    readonly library: Library,
    readonly id: string,
    readonly quality: string | undefined,
    clock?: Clock,
  ) {
    super(clock);
  }

  protected async look(): Promise<number> {
    try {
      this.#state = await this.library.study(this.id, this.quality);
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof UserError || (error as NodeJS.ErrnoException).syscall !== undefined)) throw error;
      this.#state = undefined;
      this.#problem = (error as Error).message;
    }
    const told = JSON.stringify(this.#state ?? this.#problem);
    if (told !== this.#told) {
      this.#told = told;
      this.publish();
    }
    return pauseMs;
  }

  protected whole(): Message {
    const { id } = this;
    return this.#state ? message('study', this.#state) : message('problem', { id, message: this.#problem! });
  }
}
