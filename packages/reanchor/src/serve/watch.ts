/** Follows runs for one page: all that there is first, then what has come since. */
import { type Clock, systemClock } from '../clock.js';
import { UserError } from '../errors.js';
import type { RunState, StreamEvents } from './api.js';
import { type Library, seriesData } from './library.js';
import type { RunFile } from './run-file.js';
import type { RunSeries } from './run-series.js';
import type { ProcessState } from './summary.js';

export interface Watched {
  runs: readonly string[];
  isListWatched: boolean;
}

type Send = <Name extends keyof StreamEvents>(event: Name, data: StreamEvents[Name]) => Promise<void>;

/** Milliseconds between looks at the runs, and at the list. */
const [runMs, listMs] = [400, 1500];
/** A file with more to read is shown by samples of it first, and read when the page has had time to draw them. */
const quickBytes = 1 << 24;
const drawMs = 300;

/** Sends until the signal is aborted. */
export async function watch(
  library: Library,
  watched: Watched,
  signal: AbortSignal,
  send: Send,
  clock: Clock = systemClock,
): Promise<void> {
  const follows = watched.runs.map((id) => new Follow(library, id, send, clock));
  let listText = '';
  for (let listedAt = Number.NEGATIVE_INFINITY; !signal.aborted; ) {
    if (watched.isListWatched && clock.now() - listedAt >= listMs) {
      listedAt = clock.now();
      const list = await library.list();
      const text = JSON.stringify(list);
      if (text !== listText) await send('list', list);
      listText = text;
    }
    for (const follow of follows) if (!signal.aborted) await follow.look();
    await clock.sleep(runMs, signal).catch(() => {});
  }
}

/** What the page has of a run. */
interface Sent {
  state: RunState;
  series: RunSeries;
  widths: string;
  lines: number;
  changes: number;
}

class Follow {
  #sent: Sent | undefined;
  #problem: string | undefined;

  constructor(
    readonly library: Library,
    readonly id: string,
    readonly send: Send,
    readonly clock: Clock,
  ) {}

  /** Sends what is new. */
  async look(): Promise<void> {
    try {
      const file = await this.library.file(this.id);
      const process = await this.library.processOf(file);
      await this.#refresh(file, process);
      await this.#sendNew(file, process);
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof UserError || (error as NodeJS.ErrnoException).syscall !== undefined)) throw error;
      const { message } = error as Error;
      if (this.#problem !== message) await this.send('problem', { id: this.id, message });
      this.#problem = message;
      this.#sent = undefined;
    }
  }

  async #refresh(file: RunFile, process: ProcessState): Promise<void> {
    if (this.#sent === undefined && (await file.unread()) > quickBytes) {
      await this.#sendState(file, process, await this.library.sketch(file));
      // The page draws it before the machine is busy with reading.
      await this.clock.sleep(drawMs);
    }
    await file.refresh();
  }

  async #sendState(file: RunFile, process: ProcessState, series: RunSeries): Promise<void> {
    const state = await this.library.state(this.id, file, process, series);
    this.#sent = { state, series, ...position(series) };
    await this.send('state', state);
  }

  async #sendNew(file: RunFile, process: ProcessState): Promise<void> {
    const { series } = file;
    const sent = this.#sent;
    const now = position(series);
    // Points of another width, or of a file that was replaced, cannot be put behind the ones that the page has.
    if (sent === undefined || sent.series !== series || sent.widths !== now.widths) {
      await this.#sendState(file, process, series);
      return;
    }
    const described = { info: sent.state.info, problem: sent.state.summary.problem };
    const summary = this.library.summaryOf(this.id, described, process, series);
    if (now.lines === sent.lines && now.changes === sent.changes && summary.status === sent.state.summary.status)
      return;
    const { steps, evaluations } = sent.state;
    const data = seriesData(series, { steps: steps.steps.at(-1), evaluations: evaluations.steps.at(-1) });
    await this.send('patch', {
      id: this.id,
      generation: file.generation,
      ...data,
      summary,
      ...(now.changes !== sent.changes && { log: series.log, checkpoints: await this.library.checkpoints(file) }),
    });
    this.#sent = { ...now, series, state: { ...sent.state, ...data, summary } };
  }
}

function position({ steps, evaluations, updates, changes }: RunSeries): Omit<Sent, 'state' | 'series'> {
  return {
    widths: `${steps.pointWidth(1000)} ${evaluations.pointWidth(1000)}`,
    lines: steps.lines + evaluations.lines + updates.lines,
    changes,
  };
}
