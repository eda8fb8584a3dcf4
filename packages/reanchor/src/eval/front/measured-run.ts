/** Runs as they are read, with all that was measured. */
import type { RunSettings } from './arms.js';

/** What is known of a run before its metrics are chosen. */
interface NamedSettings extends RunSettings {
  name: string;
  /** Whether it comes from the results of a study, where a number that was not finite is left out. */
  isOfStudy: boolean;
  /** Of a run of a study, its folder below that of the study. */
  folder?: string | undefined;
}

/** A run with all its metrics. */
export interface MeasuredRun extends NamedSettings {
  evaluations: { step: number; metrics: Readonly<Record<string, number>> }[];
}

/** A row of a file of results. */
export interface MeasuredRow {
  settings: NamedSettings;
  step: number;
  metrics: Readonly<Record<string, number>>;
}
