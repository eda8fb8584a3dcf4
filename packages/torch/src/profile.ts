/** What a piece of work spends its time on: libtorch's operators, forward and backward, and named spans around them. */
import { native } from './native.js';

/** One event of a Chrome trace: https://ui.perfetto.dev and chrome://tracing open a file of them. */
export interface TraceEvent {
  name: string;
  cat: 'operator' | 'span';
  ph: 'X';
  /** Microseconds. */
  ts: number;
  dur: number;
  pid: number;
  tid: number;
}

let spans: TraceEvent[] | undefined;

/** Begins to record. Errors: Error while a recording runs already. */
export function startProfile(): void {
  native().startProfile();
  spans = [];
}

/** Ends the recording; returns its events, of which spans are on thread 0. Errors: Error when nothing is recorded. */
export function stopProfile(): TraceEvent[] {
  const { names, times } = native().stopProfile();
  const operators = names.map((name, i): TraceEvent => {
    const [start, end, thread] = times.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
    return { name, cat: 'operator', ph: 'X', ts: start, dur: end - start, pid: process.pid, tid: thread };
  });
  const events = [...(spans ?? []), ...operators];
  spans = undefined;
  return events;
}

/** Runs `fn`, which must be synchronous, as a named span of the recording; without one it only runs it. */
export function recordFunction<T>(name: string, fn: () => T): T {
  if (!spans) return fn();
  const { clockUs } = native();
  const ts = clockUs();
  try {
    return fn();
  } finally {
    spans?.push({ name, cat: 'span', ph: 'X', ts, dur: clockUs() - ts, pid: process.pid, tid: 0 });
  }
}
