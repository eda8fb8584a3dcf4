/** What the server tells the page; the page imports these types and nothing else of this package. */
import type { FamilyCurves } from '../eval/front/chart.js';
import type { AdjustedComparison } from '../eval/front/compare.js';
import type { SettingSummary } from '../eval/front/settings.js';
import type { RunEvent, RunInfo, ToyResult, WinRateDocument } from '../runs/index.js';
import type { SeriesPoints } from './bucket-series.js';

export type { FamilyCurves } from '../eval/front/chart.js';
export type { AdjustedComparison } from '../eval/front/compare.js';
export type { SeedMean } from '../eval/front/settings.js';
export type { ToyResult, WinRateDocument } from '../runs/index.js';
export type { MetricPoints, SeriesPoints } from './bucket-series.js';

type Event<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/**
 * running: its process is there, or where that cannot be seen, events still come; failed: it ended with an error;
 * stopped: its process is gone, or no event has come for long, and there is no end.
 */
export type RunStatus = 'running' | 'finished' | 'interrupted' | 'failed' | 'stopped';

/** A run in the list. */
export interface RunSummary {
  /** The folder's path in RUNS, with `/`; `.` is RUNS itself. */
  id: string;
  status: RunStatus;
  /** As people call it: `TR-DPO`. */
  method: string;
  /** Of the reference: `soft, alpha 0.6`. */
  reference: string;
  model: string;
  /** ISO 8601; undefined when run.json cannot be read. */
  started: string | undefined;
  /** Of the last event; '' before the first. */
  lastEvent: string;
  step: number;
  /** Planned steps. */
  steps: number | undefined;
  /** The metrics of the newest step that was logged. */
  metrics: Record<string, number | null>;
  /** The newest value of each metric of evaluations; empty before the first. */
  evaluation: Record<string, number | null>;
  /** Steps and values of the margin (of the loss where there is none), thinned; a sketch of the run. */
  sparkline: { metric: string; steps: number[]; values: (number | null)[] };
  /** What is wrong with the folder, in words. */
  problem: string | undefined;
  /** The first sentence of why the run failed. */
  failure: string | undefined;
}

/** What the folder that is served holds. */
export interface RunList {
  /** The folder that is served. */
  folder: string;
  runs: RunSummary[];
  /** What is not shown, and why. */
  notes: string[];
  results: ResultEntry[];
  studies: StudyEntry[];
}

/** What has changed in the list since. */
export interface ListPatch {
  /** Those that are new or have changed. */
  runs: RunSummary[];
  /** The ids of those that are no longer there. */
  gone: string[];
  notes: string[];
  results: ResultEntry[];
  studies: StudyEntry[];
}

/** A study in the list. */
export interface StudyEntry {
  /** The path of its folder in RUNS, as that of a run. */
  id: string;
  arms: string[];
  /** Runs that are measured to their end, and how many there are to be; undefined where the sweep has not said. */
  done: number;
  of: number | undefined;
  /** ISO 8601, of its results. */
  time: string;
}

/** All that a study's page shows; the numbers are those of `eval front`. */
export interface StudyState extends StudyEntry {
  scores: string[];
  /** The one that the curves and comparisons are of. */
  quality: string;
  /** What each setting came to over its seeds, in each score. */
  settings: { arm: string; seeds: number; scores: Record<string, Pick<SettingSummary, 'end' | 'best'>> }[];
  curves: FamilyCurves[];
  comparisons: AdjustedComparison[];
  /** The differences that Holm's p counts. */
  tests: number;
  /** Its runs and what its stages trained, by the paths below its folder. */
  runs: { id: string; name: string; status: RunStatus; step: number; steps: number | undefined }[];
}

/** A reference update, or `count` of them up to a step. */
export interface ReferenceMark {
  step: number;
  count: number;
  version?: number;
  /** Of the policy in the new reference. */
  share?: number;
  update?: string;
  distanceBefore?: number | undefined;
  distanceAfter?: number | undefined;
}

/** The events that are no numbers. */
export interface RunLog {
  start?: Event<'start'> | undefined;
  end?: Event<'end'> | undefined;
  failed?: Event<'failed'> | undefined;
  stopped?: Event<'stopped'> | undefined;
  warnings: { time: string; message: string }[];
  /** Warnings beyond those that are kept. */
  moreWarnings: number;
  skipped: { reason: string; file: string; count: number }[];
  saved: { time: string; folder: string }[];
  /** The steps after which the run went on, having been cut off. */
  resumed: { time: string; step: number }[];
  /** Lines that are no events. */
  badLines: number;
  samples: { step: number; samples: Event<'samples'>['samples'] }[];
}

/** Series of a run, for the steps asked for. */
export interface RunSeriesData {
  steps: SeriesPoints;
  evaluations: SeriesPoints;
  updates: ReferenceMark[];
  updateCount: number;
}

/** All that a run's page shows. */
export interface RunState extends RunSeriesData {
  id: string;
  /** Rises when the file was replaced, so that what was sent before is void. */
  generation: number;
  /** What run.json says; undefined when it cannot be read. */
  info: RunInfo | undefined;
  summary: RunSummary;
  log: RunLog;
  checkpoints: { name: string; time: string }[];
  /** The share of events.jsonl that has been read: below 1 the series are a sketch from samples of the file. */
  read: number;
}

/** What has come since: the points from `from` on replace those that were sent. */
export interface RunPatch {
  id: string;
  generation: number;
  /** Points of the last bucket and after it. */
  steps: SeriesPoints;
  evaluations: SeriesPoints;
  updates: ReferenceMark[];
  updateCount: number;
  summary: RunSummary;
  /** These two are left out when nothing was said since. */
  log?: RunLog;
  checkpoints?: RunState['checkpoints'];
}

/** A file of results. */
export interface ResultEntry {
  id: string;
  kind: 'winrate' | 'toy';
  title: string;
  /** ISO 8601, of the file. */
  time: string;
}

/** The document of an evaluation that the page draws. */
export type Result = { kind: 'winrate'; result: WinRateDocument } | { kind: 'toy'; result: ToyResult };

/** The events of `/api/stream`, by their name. */
export interface StreamEvents {
  list: RunList;
  listPatch: ListPatch;
  state: RunState;
  patch: RunPatch;
  study: StudyState;
  problem: { id: string; message: string };
}
