import type { Clock } from '../clock.js';
import { UserError } from '../errors.js';
import type { RunState, RunSummary } from './api.js';
import { Feed, type Message, message } from './feed.js';
import { type Library, seriesData } from './library.js';
import type { RunFile } from './run-file.js';
import type { RunSeries } from './run-series.js';
import type { Described, ProcessState } from './summary.js';

/** Milliseconds between looks at a run, and at one that cannot be shown. */
const [pauseMs, problemMs] = [400, 2000];
/** A file with more to read is shown by samples of it first, and read when the page has had time to draw them. */
const quickBytes = 1 << 24;
const drawMs = 300;

/** What was published of a run. */
interface Published {
  file: RunFile;
  described: Described;
  series: RunSeries;
  summary: RunSummary;
  checkpoints: RunState['checkpoints'];
  widths: string;
  lines: number;
  changes: number;
  /** The last steps that were told. */
  last: { steps: number | undefined; evaluations: number | undefined };
}

/** A run: all that there is, then what has come since. */
export class RunFeed extends Feed {
  #published: Published | undefined;
  #problem: string | undefined;

  constructor(
    readonly library: Library,
    readonly id: string,
    clock?: Clock,
  ) {
    super(clock);
  }

  protected async look(): Promise<number> {
    try {
      const file = await this.library.file(this.id);
      const process = await this.library.processOf(file);
      if (this.#published === undefined && (await file.unread()) > quickBytes) {
        await this.#publishWhole(file, process, await this.library.sketch(file));
        // The page draws it before the machine is busy with reading.
        await this.clock.sleep(drawMs);
      }
      await file.refresh();
      await this.#publishNew(file, process);
      this.#problem = undefined;
      return pauseMs;
    } catch (error) {
      if (!(error instanceof UserError || (error as NodeJS.ErrnoException).syscall !== undefined)) throw error;
      const text = (error as Error).message;
      const isNew = this.#problem !== text;
      this.#problem = text;
      this.#published = undefined;
      if (isNew) this.publish();
      return problemMs;
    }
  }

  protected whole(): Message {
    const { id } = this;
    const published = this.#published;
    if (published === undefined) return message('problem', { id, message: this.#problem! });
    const { file, series, described, summary, checkpoints } = published;
    return message('state', {
      id,
      generation: file.generation,
      info: described.info,
      summary,
      ...seriesData(series),
      log: series.log,
      checkpoints,
      read: series === file.series ? 1 : file.read,
    });
  }

  async #publishNew(file: RunFile, process: ProcessState): Promise<void> {
    const { series } = file;
    const before = this.#published;
    const now = position(series);
    const described = await this.library.describe(file);
    // Points of another width, or of a file that was replaced, cannot be put behind the ones that the page has.
    if (before?.series !== series || before.widths !== now.widths || before.described !== described) {
      await this.#publishWhole(file, process, series);
      return;
    }
    const summary = this.library.summaryOf(this.id, file, described, process, series);
    const isSaid = now.changes !== before.changes;
    const isSame = summary.status === before.summary.status && summary.problem === before.summary.problem;
    if (now.lines === before.lines && !isSaid && isSame) return;
    const checkpoints = isSaid ? await this.library.checkpoints(file) : before.checkpoints;
    const data = seriesData(series, before.last);
    this.#published = { ...before, ...now, summary, checkpoints, last: lastSteps(series) };
    const { id } = this;
    const { generation } = file;
    this.publish(
      message('patch', { id, generation, ...data, summary, ...(isSaid && { log: series.log, checkpoints }) }),
    );
  }

  async #publishWhole(file: RunFile, process: ProcessState, series: RunSeries): Promise<void> {
    const described = await this.library.describe(file);
    const summary = this.library.summaryOf(this.id, file, described, process, series);
    const checkpoints = await this.library.checkpoints(file);
    const last = lastSteps(series);
    this.#published = { file, described, series, summary, checkpoints, ...position(series), last };
    this.publish();
  }
}

/** The last steps of the points, from which on there is something new. */
function lastSteps({ steps, evaluations }: RunSeries): Published['last'] {
  const last = ({ used, lastStep }: RunSeries['steps']) => (used > 0 ? lastStep : undefined);
  return { steps: last(steps), evaluations: last(evaluations) };
}

function position({ steps, evaluations, updates, changes }: RunSeries) {
  return {
    widths: `${steps.pointWidth(1000)} ${evaluations.pointWidth(1000)}`,
    lines: steps.lines + evaluations.lines + updates.lines,
    changes,
  };
}
