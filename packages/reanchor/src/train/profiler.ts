import { startProfile, stopProfile } from '@reanchor/torch';
import { writeFileAtomic } from '../formats/index.js';

/** The first steps allocate what later ones use again, so that the profile begins with the second. */
export const firstProfiled = 2;
const lastProfiled = 4;

/**
 * Records a few steps of a run and writes them as a Chrome trace, which https://ui.perfetto.dev opens. `say` hears
 * why there is none, where its file cannot be written: a run does not end for the sake of its profile.
 */
export class StepProfiler {
  #isRecording = false;

  constructor(
    readonly file: string,
    readonly say: (message: string) => void,
  ) {}

  beforeStep(step: number): void {
    if (step !== firstProfiled) return;
    startProfile();
    this.#isRecording = true;
  }

  async afterStep(step: number): Promise<void> {
    if (step === lastProfiled) await this.end();
  }

  /** Ends the recording, also that of a run with fewer steps, and writes its file. */
  async end(): Promise<void> {
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
