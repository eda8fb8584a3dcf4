import { startProfile, stopProfile } from '@reanchor/torch';
import { writeFileAtomic } from '../formats/index.js';

/** The first steps allocate what later ones use again, so that the profile begins with the second. */
const firstStep = 2;
const lastStep = 4;

/** Records a few steps of a run and writes them as a Chrome trace, which https://ui.perfetto.dev opens. */
export class StepProfiler {
  #isRecording = false;

  constructor(readonly file: string) {}

  beforeStep(step: number): void {
    if (step !== firstStep) return;
    startProfile();
    this.#isRecording = true;
  }

  async afterStep(step: number): Promise<void> {
    if (step === lastStep) await this.end();
  }

  /** Ends the recording, also that of a run with fewer steps, and writes its file. */
  async end(): Promise<void> {
    if (!this.#isRecording) return;
    this.#isRecording = false;
    await writeFileAtomic(this.file, JSON.stringify({ traceEvents: stopProfile() }));
  }
}
