import { startProfile, stopProfile } from '@reanchor/torch';
import { writeFileAtomic } from '../formats/index.js';
import type { StepListener } from './step-listener.js';

/** The first step allocates what later ones use again, so that a profile begins with the second that is made. */
const [firstProfiled, lastProfiled] = [2, 4];

/**
 * Records a few steps of a run, or of what is left of it, and writes them as a Chrome trace, which
 * https://ui.perfetto.dev opens. `say` hears why there is none: a run does not end for the sake of its profile.
 */
export class StepProfiler implements StepListener {
  #steps = 0;
  #isRecording = false;

  constructor(
    readonly file: string,
    readonly say: (message: string) => void,
  ) {}

  beforeStep(): void {
    this.#steps += 1;
    if (this.#steps !== firstProfiled) return;
    startProfile();
    this.#isRecording = true;
  }

  async onPause(): Promise<void> {
    if (this.#steps === lastProfiled) await this.#write();
  }

  /** What was recorded of fewer steps is written, too. */
  async onEnd(): Promise<void> {
    if (this.#steps < firstProfiled) {
      this.say(`no profile: it begins with the second step that is made, and there were ${this.#steps}`);
    }
    await this.#write();
  }

  async #write(): Promise<void> {
    if (!this.#isRecording) return;
    this.#isRecording = false;
    const traceEvents = stopProfile();
    try {
      await writeFileAtomic(this.file, JSON.stringify({ traceEvents }));
    } catch (error) {
      this.say(`no profile: ${(error as Error).message}`);
    }
  }
}
