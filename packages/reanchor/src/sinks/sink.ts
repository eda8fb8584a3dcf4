import type { RunEvent } from '../runs/index.js';

/** How a run ended. */
export type RunEnd = 'finished' | 'interrupted' | 'failed';

/** A place for the metrics of a run besides events.jsonl. It tells what fails in warnings and never stops a run. */
export interface MetricSink {
  write(event: RunEvent): void;
  /** Hands over what is left and closes; called once. */
  close(end: RunEnd): Promise<void>;
}

/** Numbers of one moment, under the names of the events. */
export interface MetricPoint {
  /** Milliseconds since 1970. */
  time: number;
  step: number;
  metrics: Readonly<Record<string, number>>;
}

/** The numbers in an event: those of a step under their names, those of an evaluation under `eval/` and their names. */
export function metricPoint(event: RunEvent): MetricPoint | undefined {
  const time = Date.parse(event.time);
  switch (event.type) {
    case 'step':
      return { time, step: event.step, metrics: { ...event.metrics, epoch: event.epoch } };
    case 'evaluation': {
      const metrics = Object.entries(event.metrics).map(([name, value]) => [`eval/${name}`, value] as const);
      return { time, step: event.step, metrics: Object.fromEntries(metrics) };
    }
    default:
      return undefined;
  }
}
